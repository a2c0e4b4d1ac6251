// What is known of a series: what the history has of a stretch, and behind it what is told live.

import { now } from './moments.js';
import { authorization } from './session.js';

// Decisions that are known, at the most: as many as the history tells at once.
const MARKS = 1000;
// A minute is in the history 15 s after its end, in milliseconds after its beginning; more are asked for once a minute.
const MINUTE = 60_000;
const SETTLED = 2 * MINUTE + 15_000;

export class Points {
  /** Those of a service, as far back and as close as a stretch wants them; says when there are others. */
  constructor(service, stretch, changed) {
    Object.assign(this, { service, stretch, changed });
    this.all = [];
    this.marks = [];
    this.reads = 0;
    // What was told since something was asked for that is not here yet; nothing, where all is.
    this.told = null;
  }

  /** The moment of the last. */
  get last() {
    return this.all.at(-1)?.at_ms ?? null;
  }

  /** Reads what was. Of two that are under way, the later has it. */
  async load() {
    const read = ++this.reads;
    this.wanted = { step: this.stretch.step, reach: this.stretch.reach };
    this.isBehind = false;
    this.told = [];
    const [series, events] = await Promise.all([
      this.series(now() - this.wanted.reach * 1000),
      ask(`/v1/events?service=${this.service}&kind=target`),
    ]);
    if (read !== this.reads) return;
    const { told } = this;
    this.told = null;
    this.isBehind = series === null;
    if (series === null) return;
    this.step = this.wanted.step;
    this.marks = events?.events ?? this.marks;
    this.all = series;
    if (this.step === 1) this.add(told);
    else this.changed();
  }

  /** Reads the minutes that are over since. */
  async more() {
    const read = this.reads;
    const series = await this.series((this.last ?? 0) + 1);
    if (read === this.reads && series !== null) this.add(series);
  }

  async series(from) {
    const step = this.wanted.step === 1 ? '1s' : '1m';
    const answer = await ask(`/v1/services/${this.service}/series?step=${step}&from=${Math.max(Math.round(from), 0)}`);
    return answer?.points ?? null;
  }

  /** Reads what the stretch shows and is not here. */
  reachBack() {
    const { step, reach } = this.stretch;
    if (step !== this.wanted.step || reach > this.wanted.reach) this.load();
  }

  /** What was told is not all that happened: the rest is read with the next that is. */
  miss() {
    this.isBehind = true;
  }

  /** Takes what is told live. */
  take(kind, data) {
    if (kind === 'missed') this.miss();
    if (data.service !== this.service) return;
    if (kind === 'event' && data.what.kind === 'target') this.marks.push(data);
    if (kind === 'second') this.second(data);
  }

  second(point) {
    this.told?.push(point);
    if (this.isBehind) this.load();
    else if (this.told === null && this.step === 1) this.add([point]);
    else if (this.told === null) this.minutes(point.at_ms);
  }

  minutes(at) {
    const last = Math.max(this.last ?? 0, (this.asked ?? 0) - MINUTE);
    if (at < last + SETTLED) return;
    this.asked = at;
    this.more();
  }

  /** More at the end, for which as much goes at the beginning. */
  add(points) {
    const last = this.last ?? 0;
    this.all.push(...points.filter((point) => point.at_ms > last));
    const oldest = (this.last ?? 0) - this.wanted.reach * 1000;
    this.all.splice(0, Math.max(this.all.findIndex((point) => point.at_ms >= oldest), 0));
    this.marks.splice(0, this.marks.length - MARKS);
    this.changed();
  }
}

async function ask(path) {
  const answer = await fetch(path, { headers: authorization() }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => null) : null;
}
