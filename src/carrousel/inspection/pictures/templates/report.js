// Values under the pointer, and the slider over snapshots of training.
(() => {
  const text = (value) => {
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  };

  // Points of a curve, as shares of the width and height of its panel.
  const known = new WeakMap();
  function points(path) {
    if (!known.has(path)) {
      known.set(path, [...path.getAttribute("d").matchAll(/[ML]([-\d.]+),([-\d.]+)/g)].map((m) => [m[1] / 1000, 1 - m[2] / 1000]));
    }
    return known.get(path);
  }

  function readout(area, event) {
    const box = area.getBoundingClientRect(), data = area.dataset;
    const share = (event.clientX - box.left) / box.width;
    const [low, high, ylow, yhigh] = [data.low, data.high, data.ylow, data.yhigh].map(Number);
    const scale = data.log === "1" ? (v) => ylow * (yhigh / ylow) ** v : (v) => ylow + v * (yhigh - ylow);
    const rows = [];
    let at = share;
    for (const path of area.querySelectorAll("path[data-name]")) {
      let best = null;
      for (const point of points(path)) {
        if (!best || Math.abs(point[0] - share) < Math.abs(best[0] - share)) best = point;
      }
      if (!best || Math.abs(best[0] - share) > 0.2) continue;
      if (!rows.length) at = best[0];
      const value = best[1] < -0.05 ? `below ${text(ylow)}` : text(scale(best[1]));
      rows.push([path, `${path.dataset.name}: ${value}`]);
    }
    return {at, rows, left: at > 0.55, head: `${data.x.split(/[:,]/)[0]} ${Math.round(low + at * (high - low))}`};
  }

  function show(area, event) {
    const found = readout(area, event);
    hide(area);
    if (!found.rows.length) return;
    const rule = document.createElement("div"), box = document.createElement("div");
    rule.className = found.left ? "readout left" : "readout";
    rule.style.left = `${100 * found.at}%`;
    const head = document.createElement("b");
    head.textContent = found.head;
    box.append(head);
    for (const [path, line] of found.rows) {
      const row = document.createElement("div"), dot = document.createElement("i");
      dot.className = path.classList[0];
      row.style.all = "unset";
      row.style.display = "block";
      row.append(dot, line);
      box.append(row);
    }
    rule.append(box);
    area.append(rule);
  }

  function hide(area) {
    area.querySelector(".readout")?.remove();
  }

  for (const area of document.querySelectorAll(".area")) {
    if (!area.querySelector("path[data-name]")) continue;
    area.addEventListener("pointermove", (event) => show(area, event));
    area.addEventListener("pointerdown", (event) => show(area, event));
    area.addEventListener("pointerleave", () => hide(area));
  }

  const moment = document.getElementById("moment");
  if (moment) {
    const play = document.getElementById("play"), last = Number(moment.max);
    const variants = [...document.querySelectorAll(".variant")];
    const labels = [...document.querySelectorAll("main > .variants > .variant .when")].map((one) => one.textContent);
    const course = document.querySelector("#course .area"), now = document.createElement("div");
    now.className = "rule now";
    course.append(now);
    const width = Number(course.dataset.high) - Number(course.dataset.low);
    let timer = null;
    const pick = () => {
      for (const one of variants) one.classList.toggle("now", one.dataset.snapshot === moment.value);
      document.getElementById("label").value = labels[Number(moment.value)];
      now.style.left = `${100 * (Number(moment.value) - Number(course.dataset.low)) / width}%`;
      moment.setAttribute("aria-valuetext", labels[Number(moment.value)]);
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      play.textContent = "\u25b6";
      play.setAttribute("aria-label", "Play");
    };
    moment.addEventListener("input", () => { stop(); pick(); });
    course.addEventListener("click", (event) => {
      const box = course.getBoundingClientRect();
      const at = Number(course.dataset.low) + width * (event.clientX - box.left) / box.width;
      moment.value = Math.round(at);
      stop();
      pick();
    });
    play.addEventListener("click", () => {
      if (timer !== null) return stop();
      if (Number(moment.value) === last) moment.value = 0;
      pick();
      play.textContent = "\u275a\u275a";
      play.setAttribute("aria-label", "Pause");
      timer = setInterval(() => {
        moment.value = Number(moment.value) + 1;
        pick();
        if (Number(moment.value) === last) stop();
      }, 700);
    });
    document.querySelector(".slider").classList.add("live");
    pick();
  }
  document.documentElement.dataset.ready = "yes";
})();
