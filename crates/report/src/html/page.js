// Zoom, the values under the cursor, and the way between the curve and the decision log. The page
// is complete without it.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const charts = document.querySelector(".charts");
  const plots = [...charts.querySelectorAll(".plot")];
  const drawings = [...charts.querySelectorAll(".plot svg, .events svg")];
  const events = charts.querySelector(".events svg");
  const rows = [...document.querySelectorAll(".log tbody tr")];
  const scroll = document.querySelector(".log .scroll");
  const unit = data.width / data.end;
  const shortest = Math.min(0.5, data.end);
  let view = [0, data.end];
  let pinned = null; // the moment that a click or a key chose, in seconds
  let marked = null; // the index of the log's marked line

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // The index of the last moment that is not after `at`, or -1.
  const lastBefore = (moments, at) => {
    let [low, high] = [0, moments.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (moments[middle] <= at + 1e-9) low = middle + 1; else high = middle;
    }
    return low - 1;
  };
  const fleetMoments = data.fleet.map((step) => step.at_s);
  const neededMoments = data.needed.map((step) => step[0]);

  // Round marks: about one for each 90 pixels.
  const marks = ([from, to]) => {
    const rough = (to - from) / Math.max(2, plots[0].clientWidth / 90);
    const decade = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * decade).find((s) => s >= rough * 0.999);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const all = [];
    for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9; i++) {
      all.push([i * step, (i * step).toFixed(digits)]);
    }
    return all;
  };

  const place = (at) => 100 * (at - view[0]) / (view[1] - view[0]);

  const show = (from, to) => {
    const length = clamp(to - from, shortest, data.end);
    const start = clamp(from, 0, data.end - length);
    view = [start, start + length];
    for (const drawing of drawings) {
      drawing.setAttribute("viewBox", `${start * unit} 0 ${length * unit} 1000`);
    }
    for (const axis of charts.querySelectorAll(".x")) {
      axis.replaceChildren(...marks(view).map(([at, label]) => {
        const mark = document.createElement("span");
        mark.style.left = `${place(at)}%`;
        mark.textContent = label;
        return mark;
      }));
    }
    point(pinned);
  };

  const zoom = (factor, around = pinned ?? (view[0] + view[1]) / 2) => {
    show(around - (around - view[0]) * factor, around + (view[1] - around) * factor);
  };
  const move = (share) => {
    const by = share * (view[1] - view[0]);
    show(view[0] + by, view[1] + by);
  };

  const write = (name, value, digits = 0, unit = "") => {
    const known = value !== null && value !== undefined;
    charts.querySelector(`[data-of=${name}]`).textContent =
      known ? value.toFixed(digits) + unit : "–";
  };

  const mark = (index, bring) => {
    if (index === marked) return;
    rows[marked]?.classList.remove("now");
    marked = index;
    const row = rows[index];
    row?.classList.add("now");
    const now = events?.querySelector(".now");
    if (now) now.setAttribute("d", row ? `M${data.ticks[index] * unit} 0V1000` : "");
    if (row && bring && scroll) {
      scroll.scrollTop = row.offsetTop - scroll.clientHeight / 2;
    }
  };

  // Puts the cursor at a moment; null takes it away.
  const point = (at, bring = true) => {
    const inside = at !== null && at >= view[0] && at <= view[1];
    for (const plot of plots) {
      const cursor = plot.querySelector(".cursor");
      cursor.hidden = !inside;
      cursor.style.left = `${place(at ?? 0)}%`;
    }
    if (at === null) {
      mark(null, false);
      for (const cell of charts.querySelectorAll(".readout dd")) cell.textContent = "–";
      return;
    }
    const second = clamp(Math.floor(at / data.row_seconds), 0, data.offered.length - 1);
    const step = data.fleet[Math.max(0, lastBefore(fleetMoments, at))];
    const needed = data.needed[Math.max(0, lastBefore(neededMoments, at))];
    write("time", at, view[1] - view[0] < 20 ? 2 : 1, " s");
    write("offered", data.offered[second], 0, "/s");
    write("served", data.served[second], 0, "/s");
    write("failed", data.failed[second], 0, "/s");
    write("needed", needed?.[1]);
    write("ready", step?.ready);
    write("p50", data.p50[second], 1, " ms");
    write("p99", data.p99[second], 1, " ms");
    mark(lastBefore(data.ticks, at), bring);
  };

  const pin = (at) => {
    pinned = at === null ? null : clamp(at, 0, data.end);
    if (pinned !== null && (pinned < view[0] || pinned > view[1])) {
      const half = (view[1] - view[0]) / 2;
      show(pinned - half, pinned + half);
    } else {
      point(pinned);
    }
  };
  const pinTick = (index) => {
    if (data.ticks.length) pin(data.ticks[clamp(index, 0, data.ticks.length - 1)]);
  };

  const momentOf = (plot, event) => {
    const box = plot.getBoundingClientRect();
    const share = clamp((event.clientX - box.left) / box.width, 0, 1);
    return view[0] + share * (view[1] - view[0]);
  };

  for (const plot of plots) {
    let from = null;
    const select = (to) => {
      for (const other of plots) {
        const selection = other.querySelector(".selection");
        selection.hidden = to === null;
        if (to === null) continue;
        selection.style.left = `${place(Math.min(from, to))}%`;
        selection.style.width = `${Math.abs(place(to) - place(from))}%`;
      }
    };
    plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = momentOf(plot, event);
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => {
      const at = momentOf(plot, event);
      if (from !== null) select(at);
      point(at);
    });
    plot.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const [start, to] = [from, momentOf(plot, event)];
      select(null);
      from = null;
      // Fewer than six pixels are a click.
      if (Math.abs(place(to) - place(start)) * plot.clientWidth / 100 < 6) pin(to);
      else show(Math.min(start, to), Math.max(start, to));
    });
    plot.addEventListener("pointercancel", () => { select(null); from = null; });
    plot.addEventListener("pointerleave", () => { if (from === null) point(pinned); });
    plot.addEventListener("dblclick", () => show(0, data.end));
  }

  const actions = {
    earlier: () => move(-0.5),
    later: () => move(0.5),
    in: () => zoom(0.5),
    out: () => zoom(2),
    all: () => show(0, data.end),
  };
  for (const button of charts.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => actions[button.dataset.do]());
  }
  charts.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const stride = (view[1] - view[0]) / 100;
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const keys = {
      "+": actions.in, "=": actions.in, "-": actions.out, 0: actions.all,
      n: () => pinTick((marked ?? -1) + 1),
      p: () => pinTick((marked ?? 0) - 1),
      Home: () => pin(0),
      End: () => pin(data.end),
      Escape: () => pin(null),
    };
    if (way && event.shiftKey) move(way / 4);
    else if (way) pin((pinned ?? view[0]) + way * stride);
    else if (keys[event.key]) keys[event.key]();
    else return;
    event.preventDefault();
  });
  for (const button of document.querySelectorAll("[data-tick]")) {
    button.addEventListener("click", () => pinTick(Number(button.dataset.tick)));
  }

  // The strip below the instances: a mark for each decision that launches or drains.
  if (events) {
    for (const kind of ["out", "in", "now"]) {
      const path = document.createElementNS(events.namespaceURI, "path");
      path.setAttribute("class", kind);
      path.setAttribute("d", rows.map((row, index) =>
        row.classList.contains(kind) ? `M${data.ticks[index] * unit} 0V1000` : "").join(""));
      events.append(path);
    }
  }
  charts.querySelector(".tools").hidden = false;
  charts.querySelector(".readout").hidden = false;
  window.addEventListener("resize", () => show(...view));
  show(0, data.end);
})();
