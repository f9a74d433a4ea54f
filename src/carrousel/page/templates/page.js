"use strict";
// What the scripts of all pages share. A page calls page.start with a function that draws a figure.
const page = (() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const comma = (value) => Math.round(value).toLocaleString("en");
  const config = {responsive: true, displayModeBar: false};

  function faded(colour, alpha) {
    const part = (at) => parseInt(colour.slice(at, at + 2), 16);
    return `rgba(${part(1)},${part(3)},${part(5)},${alpha})`;
  }

  function layout(more) {
    const axis = {gridcolor: css("--line"), linecolor: css("--line"), zeroline: false, automargin: true};
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: {color: css("--ink"), family: "system-ui, sans-serif", size: 13},
      hoverlabel: {bgcolor: css("--card"), bordercolor: css("--line"), font: {color: css("--ink")}},
      margin: {l: 60, r: 20, t: 46, b: 50}, hovermode: "closest",
      ...more, xaxis: {...axis, ...more.xaxis}, yaxis: {...axis, ...more.yaxis},
    };
  }

  // Draw every element with data-figure from its JSON, and again when the colours change.
  function start(figure) {
    async function draw() {
      let drawn = 0;
      for (const element of document.querySelectorAll("[data-figure]")) {
        const name = element.dataset.figure;
        await figure(element, JSON.parse(document.getElementById(`data-${name}`).textContent), name);
        drawn += 1;
      }
      document.documentElement.dataset.drawn = String(drawn);
    }
    draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  return {css, comma, config, faded, layout, start};
})();
