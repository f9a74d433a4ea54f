// Draws lines, bars and matrices. Names from the data are literal text, not the markup of plotly.
(() => {
  const {css, config, faded, layout} = page;
  const literal = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  function axis(given) {
    return {
      title: {text: literal(given.title), standoff: 8},
      ...(given.percent ? {tickformat: ".0%"} : {}),
      ...(given.range ? {range: given.range} : {}),
      ...(given.log ? {type: "log", dtick: "D2", tickformat: "~g", minor: {showgrid: false}} : {}),
      ...(given.zero ? {rangemode: "tozero"} : {}),
    };
  }

  // Areas of markers grow with counts.
  function sizes(counts) {
    const most = Math.max(...counts);
    return counts.map((each) => 6 + 16 * Math.sqrt(each / most));
  }

  function trace(line, x, y) {
    const colour = css(line.colour);
    const shown = line.faded ? faded(colour, 0.6) : colour;
    const mode = line.mode ?? "lines";
    const many = line.x.length > 300;
    return {
      x: line.x, y: line.y, type: "scatter", mode, name: literal(line.name),
      ...(line.group ? {legendgroup: line.group, showlegend: line.first} : {}),
      line: {color: shown, width: line.dash ? 1.5 : 2, dash: line.dash ?? "solid"},
      marker: {color: mode === "markers" && many ? faded(colour, 0.4) : shown,
        size: line.sizes ? sizes(line.sizes) : many ? 5 : 7},
      text: line.text ? line.text.map(literal) : line.sizes ? line.sizes.map((n) => `${n.toLocaleString("en")} answers`) : [],
      hovertemplate: `${line.text || line.sizes ? "%{text}<br>" : ""}%{x${x.percent ? ":.0%" : ""}}, ` +
        `%{y${y.percent ? ":.1%" : ":.4g"}}<extra>%{fullData.name}</extra>`,
    };
  }

  function band({x, low, high, colour}) {
    const edge = {x, type: "scatter", mode: "lines", line: {width: 0}, hoverinfo: "skip", showlegend: false};
    return [{...edge, y: low}, {...edge, y: high, fill: "tonexty", fillcolor: faded(css(colour), 0.18)}];
  }

  function lines(element, data) {
    const traces = [...(data.band ? band(data.band) : []), ...data.lines.map((each) => trace(each, data.x, data.y))];
    return Plotly.react(element, traces, layout({
      xaxis: axis(data.x), yaxis: axis(data.y), showlegend: data.lines.length > 1,
      legend: {orientation: "h", y: 1.02, yanchor: "bottom", x: 0, traceorder: "normal"},
      ...(data.title ? {title: {text: literal(data.title), font: {size: 14}, x: 0.02, y: 0.98, yanchor: "top"}, margin: {l: 50, r: 10, t: 70, b: 45}} : {}),
    }), config);
  }

  function bars(element, data) {
    const x = data.positions ?? data.names.map(literal);
    const trace = {x, y: data.values, type: "bar", marker: {color: css("--ours")},
      hovertemplate: "%{x}: %{y:,}<extra></extra>"};
    return Plotly.react(element, [trace], layout({
      xaxis: {...axis(data.x), ...(data.positions ? {} : {type: "category"})}, yaxis: axis(data.y),
      bargap: data.positions ? 0.05 : 0.25, showlegend: false,
    }), config);
  }

  function matrix(element, data) {
    const names = data.names.map(literal), n = names.length;
    element.style.height = `${Math.min(46, Math.max(22, 10 + 2.1 * n))}rem`;
    element.style.maxWidth = `${Math.max(44, 12 + 3.5 * n)}rem`;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const trace = {
      type: "heatmap", x: [...names.keys()], y: [...names.keys()], z: data.shares, zmin: 0, zmax: 1,
      xgap: n > 60 ? 0 : 1, ygap: n > 60 ? 0 : 1, hoverongaps: false,
      colorscale: [[0, css("--shade")], [1, dark ? "#2f6fce" : css("--ours")]],
      colorbar: {tickformat: ".0%", thickness: 12, outlinewidth: 0, len: 0.9},
      customdata: data.counts.map((row, i) => row.map((count, j) => [names[i], names[j], count])),
      hovertemplate: "true %{customdata[0]}, predicted %{customdata[1]}<br>%{customdata[2]:,} (%{z:.1%})<extra></extra>",
    };
    const annotations = data.text ? data.counts.flatMap((row, i) => row.map((count, j) => count ? {
      x: j, y: i, text: count.toLocaleString("en"), showarrow: false,
      font: {size: n > 15 ? 10 : 13, color: (data.shares[i][j] ?? 0) > 0.55 ? "#ffffff" : css("--ink")},
    } : null)).filter(Boolean) : [];
    const short = names.map((_, k) => literal(data.names[k].length > 18 ? `${data.names[k].slice(0, 17)}…` : data.names[k]));
    const ticks = {tickvals: data.text ? [...names.keys()] : [], ticktext: short, showgrid: false};
    return Plotly.react(element, [trace], layout({
      xaxis: {...ticks, title: {text: "predicted class", standoff: 8}},
      yaxis: {...ticks, title: {text: "true class", standoff: 8}, autorange: "reversed"},
      annotations, margin: {l: 60, r: 20, t: 20, b: 60},
    }), config);
  }

  const kinds = {lines, bars, matrix};
  page.start((element, data) => kinds[element.dataset.kind](element, data));
})();
