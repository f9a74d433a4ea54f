// Draws learning curves, and the overview of all rows.
(() => {
  const {css, comma, config, faded, layout} = page;

  // All trials are one trace with gaps, since hundreds of traces are slow.
  function joined(trials, name, colour, alpha, width) {
    const x = [], y = [], text = [];
    for (const trial of trials) {
      x.push(...trial.seen, null);
      y.push(...trial.error, null);
      const label = `trial ${trial.index} (seed ${trial.seed})`;
      text.push(...trial.seen.map(() => label), "");
    }
    return {x, y, text, name, type: "scatter", mode: "lines", connectgaps: false,
      line: {width, color: faded(colour, alpha)},
      hovertemplate: "%{text}<br>%{x:,} sequences, error %{y:.3g}<extra></extra>"};
  }

  function ends(trials, name, colour, symbol) {
    const words = {solved: "solved after", budget: "unsolved after", diverged: "diverged after"};
    const last = trials.map((trial) => trial.error.findLast((value) => value !== null) ?? null);
    return {x: trials.map((trial) => trial.seen.at(-1) ?? trial.sequences), y: last, name,
      type: "scatter", mode: "markers", marker: {color: colour, symbol, size: 7},
      text: trials.map((t) => `trial ${t.index}: ${words[t.ending]} ${comma(t.sequences)} sequences`),
      hovertemplate: "%{text}<extra></extra>"};
  }

  // Vertical lines at the two means. Their labels are on opposite sides; if there is no room, the
  // left label moves up.
  function means(data) {
    const lines = [["paper", data.paper, css("--paper"), "dash"], ["ours", data.ours, css("--ours"), "solid"]]
      .filter(([, at]) => at !== null).sort((one, other) => one[1] - other[1])
      .map(([name, at, color, dash]) => ({name, at, color, dash, anchor: "left", up: 0}));
    const widest = Math.max(...data.trials.map((trial) => trial.sequences), ...lines.map((line) => line.at));
    const first = lines[0], last = lines.at(-1);
    if (last && last.at > 0.85 * widest) last.anchor = "right";
    if (lines.length === 2) {
      if (first.at > 0.15 * widest) first.anchor = "right";
      const apart = first.anchor === "right" && last.anchor === "left";
      if (!apart && last.at - first.at < 0.4 * widest) first.up = 17;
    }
    return {
      shapes: lines.map(({at, color, dash}) => ({type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1,
        line: {color, width: 2, dash}})),
      annotations: lines.map(({name, at, color, anchor, up}) => ({x: at, yref: "paper", y: 1, yshift: up,
        yanchor: "bottom", xanchor: anchor, showarrow: false, text: `${name} ${comma(at)}`,
        font: {color, size: 13}})),
    };
  }

  function drawCurves(element, data) {
    const good = data.trials.filter((trial) => trial.ending === "solved");
    const bad = data.trials.filter((trial) => trial.ending !== "solved");
    const ours = css("--ours"), red = css("--bad");
    const traces = [];
    if (good.length) traces.push(joined(good, `solved (${good.length})`, ours, 0.4, 1));
    if (bad.length) traces.push(joined(bad, `not solved (${bad.length})`, red, 0.5, 1));
    if (data.median.seen.length) {
      traces.push({x: data.median.seen, y: data.median.error, name: "median of all", type: "scatter",
        mode: "lines", line: {color: css("--ink"), width: 3},
        hovertemplate: "median<br>%{x:,} sequences, error %{y:.3g}<extra></extra>"});
    }
    if (good.length) traces.push({...ends(good, "end", ours, "circle"), showlegend: false});
    if (bad.length) traces.push({...ends(bad, "end", red, "x"), showlegend: false});
    return Plotly.react(element, traces, layout({
      xaxis: {title: {text: "training sequences", standoff: 8}, rangemode: "tozero", tickformat: "~s"},
      yaxis: {title: {text: "mean absolute error"}, type: "log", dtick: "D2", tickformat: "~g", minor: {showgrid: false}},
      legend: {orientation: "h", y: -0.2, yanchor: "top", x: 0},
      ...means(data),
    }), config);
  }

  function drawOverview(element, data) {
    const rows = data.rows.slice().reverse();
    if (!rows.length) {
      element.textContent = "No row has both figures yet.";
      return Promise.resolve();
    }
    element.style.height = `${90 + 28 * rows.length}px`;
    const reach = (row) => [row.low, row.high, row.ratio];
    const least = Math.min(0.5, ...rows.flatMap(reach)), most = Math.max(2, ...rows.flatMap(reach));
    const trace = {
      x: rows.map((row) => row.ratio), y: rows.map((row) => row.name), type: "scatter", mode: "markers",
      marker: {color: css("--ours"), size: 10},
      error_x: {type: "data", symmetric: false, color: css("--ours"), thickness: 2, width: 5,
        array: rows.map((row) => row.high - row.ratio), arrayminus: rows.map((row) => row.ratio - row.low)},
      customdata: rows.map((row) => [row.title, row.low, row.high, row.over]),
      hovertemplate: "%{y}: %{customdata[0]}<br>%{x:.2f} (%{customdata[1]:.2f} to %{customdata[2]:.2f}), " +
        "%{customdata[3]} solved<extra></extra>",
    };
    const ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];
    return Plotly.react(element, [trace], layout({
      xaxis: {title: {text: "our mean / the paper’s mean"}, type: "log", tickvals: ticks, ticktext: ticks.map(String),
        range: [Math.log10(least) - 0.08, Math.log10(most) + 0.08]},
      yaxis: {type: "category"}, margin: {l: 60, r: 20, t: 10, b: 50}, showlegend: false,
      shapes: [{type: "line", x0: 1, x1: 1, yref: "paper", y0: 0, y1: 1,
        line: {color: css("--paper"), width: 2, dash: "dash"}}],
    }), config);
  }

  page.start((element, data, name) =>
    name === "overview" ? drawOverview(element, data) : drawCurves(element, data));
})();
