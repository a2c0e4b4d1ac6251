// Charts in panels beside each other, on one time axis. What was not known is a hole.

import { columnWidth, keepFitting, look } from './plot.js';

/** What a point says of a figure: a mean, a sum, or a percentile of its answers. */
function figure(point, name) {
  const told = point[name] ?? point.answers?.[name] ?? null;
  return told?.mean ?? told;
}

/**
 * What is made of this says what is drawn: by `known` points in the order of their moments, by `step` how many seconds each is of,
 * and by `span` from when to when the charts go.
 */
export class Panels {
  constructor(place, panels) {
    this.place = place;
    this.panels = panels;
    this.service = place.dataset.service;
    this.plots = place.querySelector('#plots');
    this.charts = [];
    place.hidden = false;
    keepFitting(this.plots, () => this.draw(), () => this.charts);
  }

  data(panel) {
    const times = [];
    const rows = panel.lines.map(() => []);
    let before = null;
    for (const point of this.known) {
      const at = point.at_ms / 1000;
      // A span of which nothing was recorded is a hole, and not a line from before it to behind it.
      if (before !== null && at - before > 1.5 * this.step) {
        times.push(before + this.step);
        rows.forEach((row) => row.push(null));
      }
      before = at;
      times.push(at);
      panel.lines.forEach((line, index) => rows[index].push(figure(point, line.of)));
    }
    return [times, ...rows];
  }

  draw() {
    this.charts.forEach((chart) => chart.destroy());
    this.charts = this.panels.map((panel) => this.chart(panel));
  }

  chart(panel) {
    const drawn = look(this.look(panel));
    const { cursor, hooks } = this.acts(panel);
    return new uPlot({
      ...drawn,
      width: columnWidth(this.plots),
      cursor: { sync: { key: this.service }, ...cursor },
      scales: { ...drawn.scales, x: { range: () => this.span() } },
      hooks: { ...drawn.hooks, ...hooks },
    }, this.data(panel), this.plots);
  }

  /** How a panel looks. */
  look(panel) {
    return panel;
  }

  /** What a chart does beside being drawn: what uPlot is told of its cursor, and what it calls. */
  acts() {
    return {};
  }

  update() {
    this.charts.forEach((chart, index) => chart.setData(this.data(this.panels[index])));
  }
}
