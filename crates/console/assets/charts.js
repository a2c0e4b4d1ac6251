// The charts of a service, on one time axis, which follow what happens. What was not known is a hole.

import { now, shown } from './moments.js';
import { Panels } from './panels.js';
import { colour } from './plot.js';
import { Points } from './points.js';
import { Stretch } from './zoom.js';

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

/** Draws where the page has a place for it; gives who takes what is told live. */
export function charts() {
  const place = document.getElementById('chart');
  return place === null ? null : new Charts(place);
}

class Charts extends Panels {
  constructor(place) {
    super(place, PANELS);
    this.marked = place.querySelector('#marked');
    const ranges = [...place.querySelectorAll('button[data-range]')];
    for (const button of ranges) button.addEventListener('click', () => this.show(button));
    const pressed = ranges.find((button) => button.ariaPressed === 'true');
    this.stretch = new Stretch(place, this, Number(pressed.dataset.range));
    this.points = new Points(this.service, this.stretch, () => this.update());
    this.points.load();
  }

  get known() {
    return this.points.all;
  }

  get step() {
    return this.points.step;
  }

  show(button) {
    for (const other of button.parentElement.children) other.setAttribute('aria-pressed', String(other === button));
    this.stretch.live(Number(button.dataset.range));
  }

  /** Takes what is told live. */
  take(kind, data) {
    this.points.take(kind, data);
  }

  /** The connection was lost: what was missed is read when it is there again, from the history. */
  lost() {
    this.points.miss();
  }

  draw() {
    this.objective = Number(this.place.dataset.objectiveMs);
    super.draw();
  }

  look(panel) {
    return { ...panel, objective: panel.objective ? this.objective : undefined };
  }

  acts(panel) {
    const hooks = {
      draw: [(chart) => this.mark(chart, panel)],
      setCursor: [(chart) => this.tell(chart)],
      setSelect: [(chart) => this.stretch.select(chart)],
    };
    return { cursor: this.stretch.cursor(), hooks };
  }

  /** From when to when the charts go. */
  span() {
    return this.stretch.span(this.points.last ?? now());
  }

  /** Shows another stretch, of which there may be nothing here yet. */
  move() {
    this.points.reachBack();
    const [min, max] = this.span();
    for (const chart of this.charts) chart.setScale('x', { min, max });
  }

  /** Where another number was decided on, and what the objective is. */
  mark(chart, panel) {
    const { ctx, bbox: { left, top, width, height } } = chart;
    ctx.save();
    ctx.strokeStyle = colour('--quiet');
    ctx.setLineDash([2, 3]);
    ctx.beginPath();
    // A thousand may be of one column of pixels, which is drawn once.
    for (const x of new Set(this.points.marks.map((it) => Math.round(chart.valToPos(it.at_ms / 1000, 'x', true))))) {
      if (x >= left && x <= left + width) line(ctx, [x, top], [x, top + height]);
    }
    if (panel.objective) {
      const y = Math.round(chart.valToPos(this.objective, 'y', true));
      if (y >= top) line(ctx, [left, y], [left + width, y]);
    }
    ctx.stroke();
    ctx.restore();
  }

  /** The decision under the cursor, with its reasons. */
  tell(chart) {
    const { left } = chart.cursor;
    if (left === null || left < 0) return;
    const near = this.points.marks.find((mark) => Math.abs(chart.valToPos(mark.at_ms / 1000, 'x') - left) < 6);
    const text = near === undefined ? '' : `${shown(near.at_ms)}: ${near.what.to} instead of ${near.what.from} (${near.what.reasons.join(', ')})`;
    if (this.marked.textContent !== text) this.marked.textContent = text;
  }

  /** Draws what is known now. */
  update() {
    const isOther = this.charts.length === 0 || this.objective !== Number(this.place.dataset.objectiveMs);
    if (isOther) this.draw();
    else super.update();
    performance.clearMarks('drawn');
    performance.mark('drawn', { detail: this.points.wanted.reach });
  }
}

function line(ctx, from, to) {
  ctx.moveTo(...from);
  ctx.lineTo(...to);
}
