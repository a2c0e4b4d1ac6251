// The charts of a service, on one time axis, which follow what happens. What was not known is a hole.

import { colour, columnWidth, keepFitting, look } from './plot.js';
import { authorization } from './session.js';

// A figure, its colour by the name of a style, and how it is drawn.
const PANELS = [
  {
    title: 'Requests/s',
    lines: [
      { of: 'offered_rps', name: 'offered', colour: '--line-1' },
      { of: 'served_rps', name: 'answered', colour: '--line-2', dash: [6, 3] },
      { of: 'rejected_rps', name: 'failed', colour: '--line-3' },
    ],
  },
  {
    title: 'Instances',
    steps: true,
    lines: [
      { of: 'target', name: 'decided on', colour: '--line-1', dash: [6, 3] },
      { of: 'ready', name: 'ready', colour: '--line-2' },
      { of: 'starting', name: 'starting', colour: '--line-4' },
      { of: 'draining', name: 'draining', colour: '--line-3' },
    ],
  },
  {
    title: 'Response times in ms',
    objective: true,
    lines: [
      { of: 'p99_ms', name: 'p99', colour: '--line-3' },
      { of: 'p90_ms', name: 'p90', colour: '--line-4' },
      { of: 'p50_ms', name: 'p50', colour: '--line-2' },
    ],
  },
  {
    title: 'Requests waiting and in flight',
    lines: [
      { of: 'queued', name: 'waiting', colour: '--line-3' },
      { of: 'in_flight', name: 'in flight', colour: '--line-1' },
    ],
  },
  {
    title: 'CPU cores',
    lines: [{ of: 'cpu_cores', name: 'in use', colour: '--line-2' }],
  },
];

// Up to here there are seconds, in seconds; behind it, minutes.
const SECONDS_UP_TO = 1800;

/** Draws where the page has a place for it; gives who takes what is told live. */
export function charts() {
  const place = document.getElementById('chart');
  return place === null ? null : begun(new Charts(place, PANELS));
}

/** Shows charts, from what is read first. */
export function begun(drawn) {
  drawn.place.hidden = false;
  drawn.load();
  return drawn;
}

/** What a point says of a figure: a mean, a sum, or a percentile of its answers. */
function figure(point, name) {
  const told = point[name] ?? point.answers?.[name] ?? null;
  return told?.mean ?? told;
}

export class Charts {
  constructor(place, panels) {
    this.place = place;
    this.panels = panels;
    this.service = place.dataset.service;
    this.objective = Number(place.dataset.objectiveMs);
    this.plots = place.querySelector('#plots');
    this.marked = place.querySelector('#marked');
    this.range = 600;
    this.points = [];
    this.marks = [];
    this.charts = [];
    for (const button of place.querySelectorAll('button[data-range]')) {
      button.addEventListener('click', () => this.show(button));
    }
    keepFitting(this.plots, () => this.draw(), () => this.charts);
  }

  get step() {
    return this.range > SECONDS_UP_TO ? 60 : 1;
  }

  show(button) {
    for (const other of button.parentElement.children) other.setAttribute('aria-pressed', String(other === button));
    this.range = Number(button.dataset.range);
    this.load();
  }

  /** Reads what was. */
  async load() {
    const from = Date.now() - this.range * 1000;
    const path = `/v1/services/${this.service}`;
    const [series, events] = await Promise.all([
      read(`${path}/series?step=${this.step === 1 ? '1s' : '1m'}&from=${from}`),
      read(`/v1/events?service=${this.service}&kind=target`),
    ]);
    this.points = series?.points ?? [];
    this.marks = (events?.events ?? []).filter((it) => it.at_ms >= from);
    this.draw();
  }

  /** Takes what is told live. */
  take(kind, data) {
    if (data.service !== this.service) return;
    if (kind === 'event' && data.what.kind === 'target') this.marks.push(data);
    if (kind !== 'second' || this.step !== 1) return;
    this.points.push(data);
    const from = data.at_ms - this.range * 1000;
    while (this.points.length > 0 && this.points[0].at_ms < from) this.points.shift();
    this.update();
  }

  /** The connection was lost: what was missed is read when it is there again, from the history. */
  lost() {
    this.missed = true;
  }

  data(panel) {
    const times = [];
    const rows = panel.lines.map(() => []);
    let before = null;
    for (const point of this.points) {
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
    const drawn = look(panel);
    return new uPlot({
      ...drawn,
      width: columnWidth(this.plots),
      cursor: { sync: { key: this.service } },
      scales: { ...drawn.scales, x: { range: () => this.span() } },
      hooks: { draw: [(chart) => this.mark(chart, panel)], setCursor: [(chart) => this.tell(chart)] },
    }, this.data(panel), this.plots);
  }

  /** From when to when the charts go. */
  span() {
    const last = this.points.at(-1)?.at_ms ?? Date.now();
    return [last / 1000 - this.range, last / 1000];
  }

  /** Where another number was decided on, and what the objective is. */
  mark(chart, panel) {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.strokeStyle = colour('--quiet');
    ctx.setLineDash([2, 3]);
    for (const mark of this.marks) {
      const x = Math.round(chart.valToPos(mark.at_ms / 1000, 'x', true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      line(ctx, [x, bbox.top], [x, bbox.top + bbox.height]);
    }
    if (panel.objective) {
      const y = Math.round(chart.valToPos(this.objective, 'y', true));
      if (y >= bbox.top) line(ctx, [bbox.left, y], [bbox.left + bbox.width, y]);
    }
    ctx.restore();
  }

  /** The decision under the cursor, with its reasons. */
  tell(chart) {
    const { left } = chart.cursor;
    if (left === null || left < 0) return;
    const near = this.marks.find((mark) => Math.abs(chart.valToPos(mark.at_ms / 1000, 'x') - left) < 6);
    const text = near === undefined ? '' : `${new Date(near.at_ms).toLocaleTimeString()}: ${near.what.to} instead of ${near.what.from} (${near.what.reasons.join(', ')})`;
    if (this.marked.textContent !== text) this.marked.textContent = text;
  }

  update() {
    if (this.missed) {
      this.missed = false;
      this.load();
      return;
    }
    this.charts.forEach((chart, index) => chart.setData(this.data(this.panels[index])));
  }
}

function line(ctx, from, to) {
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
}

async function read(path) {
  const answer = await fetch(path, { headers: authorization() }).catch(() => null);
  return answer?.ok ? answer.json() : null;
}
