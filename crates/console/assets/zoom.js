// Which stretch of time charts show: the last of it, which goes on, or one that was dragged over or moved to.

import { now, shown } from './moments.js';

// How far back the history goes by steps of a second and of a minute, in seconds.
const REACH = { 1: 1800, 60: 86_400 };
// Fewer points than that are no picture, in steps.
const FEWEST = 10;
// How far it is moved, in parts of what is shown.
const MOVE = 0.2;
// How long nothing is moved before it is said what is shown, in milliseconds.
const PAUSE = 300;

const KEYS = {
  ArrowLeft: 'earlier', ArrowRight: 'later', '+': 'closer', '=': 'closer', '-': 'wider', Home: 'oldest', End: 'live', Escape: 'live',
};

export class Stretch {
  /** One of the charts in this place. They say by `span` from when to when they go, and are told by `move` that it is another. */
  constructor(place, charts, range) {
    this.charts = charts;
    this.range = range;
    this.chosen = null;
    this.plots = place.querySelector('#plots');
    this.back = place.querySelector('button[data-stretch="live"]');
    this.told = place.querySelector('#stretch');
    place.addEventListener('click', (event) => this.act(event.target.closest('button[data-stretch]')?.dataset.stretch));
    this.plots.addEventListener('keydown', (event) => this.key(event));
    this.plots.addEventListener('pointerdown', (event) => this.drag(event));
  }

  /** The length of the spans of which there is a point each, in seconds. */
  get step() {
    return this.chosen?.step ?? (this.range > REACH[1] ? 60 : 1);
  }

  /** How far back there is something to be shown, in seconds: once it is moved, all that there is, so that it moves on at once. */
  get reach() {
    return this.chosen === null ? this.range : REACH[this.step];
  }

  /** From when to when, in seconds, where the last that is known is of this moment. */
  span(last) {
    if (this.chosen !== null) return [this.chosen.from / 1000, this.chosen.to / 1000];
    return [last / 1000 - this.range, last / 1000];
  }

  /** What is new is shown again, from so many seconds on. */
  live(range = this.range) {
    this.range = range;
    this.chosen = null;
    if (document.activeElement === this.back) this.plots.focus();
    this.changed();
  }

  /** Another stretch, of which there are seconds if they reach back to it. */
  show(from, to) {
    const seconds = REACH[1] * 1000;
    this.choose(from, to, from >= now() - seconds && to - from <= seconds ? 1 : 60);
  }

  /** As much of what there is, from another moment on. */
  move(from) {
    const [begin, end] = this.charts.span();
    this.choose(from, from + (end - begin) * 1000, this.step);
  }

  choose(from, to, step) {
    const last = now();
    const length = between(FEWEST * step * 1000, to - from, REACH[step] * 1000);
    const begin = between(last - REACH[step] * 1000, from, last - length);
    this.chosen = { from: begin, to: begin + length, step };
    this.changed();
  }

  /** However often it is moved, it is drawn once for each picture of the screen. */
  changed() {
    this.back.hidden = this.chosen === null;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.charts.move();
    });
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.tell(), PAUSE);
  }

  tell() {
    this.told.textContent = this.chosen === null ? '' : `${shown(this.chosen.from)} to ${shown(this.chosen.to)}`;
  }

  act(what) {
    const [from, to] = this.charts.span().map((at) => at * 1000);
    const length = to - from;
    const acts = {
      earlier: () => this.move(from - MOVE * length),
      later: () => this.move(from + MOVE * length),
      closer: () => this.show(from + length / 4, to - length / 4),
      wider: () => this.show(from - length / 2, to + length / 2),
      oldest: () => this.move(0),
      live: () => this.live(),
    };
    acts[what]?.();
  }

  key(event) {
    const what = KEYS[event.key];
    if (what === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.act(what);
  }

  /** With Shift, what is under the cursor stays under it. */
  drag(event) {
    const { target, clientX: begin, pointerId } = event;
    if (!event.shiftKey || event.button !== 0 || !target.matches('.u-over')) return;
    const [from, to] = this.charts.span().map((at) => at * 1000);
    const move = ({ clientX }) => this.move(from - ((clientX - begin) / target.clientWidth) * (to - from));
    target.setPointerCapture(pointerId);
    target.addEventListener('pointermove', move);
    target.addEventListener('lostpointercapture', () => target.removeEventListener('pointermove', move), { once: true });
  }

  /** What uPlot is told of its cursor: who drags chooses a stretch, but for who drags with Shift. */
  cursor() {
    const mousedown = (_, over, handle) => (event) => {
      if (event.shiftKey) event.preventDefault();
      else if (event.button === 0 && event.target === over) handle(event);
    };
    return { drag: { x: true, y: false, setScale: false, dist: 5 }, bind: { mousedown } };
  }

  /** A stretch was dragged over in one of the charts, and with it in all of them. */
  select(chart) {
    const { left, width } = chart.select;
    if (width === 0) return;
    const [from, to] = [left, left + width].map((at) => chart.posToVal(at, 'x') * 1000);
    chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.show(from, to);
  }
}

function between(least, value, most) {
  return Math.min(Math.max(value, least), most);
}
