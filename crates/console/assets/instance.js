// The charts of one instance: each of its last 30 minutes, on average and in all.

import { authorization } from './session.js';
import { now } from './moments.js';
import { Panels } from './panels.js';

// A minute may stand alone, and is a dot then.
const PANELS = [
  { title: 'CPU: cores, on average', dots: true, lines: [{ of: 'cpu_cores', name: 'cores', colour: '--line-2' }] },
  { title: 'CPU: seconds, in all', dots: true, lines: [{ of: 'cpu_s', name: 'seconds', colour: '--line-2' }] },
  { title: 'Requests/s, on average', dots: true, lines: [{ of: 'requests_rps', name: 'requests/s', colour: '--line-1' }] },
  { title: 'Requests, in all', dots: true, lines: [{ of: 'requests', name: 'requests', colour: '--line-1' }] },
];

const RANGE_S = 1800;
const MINUTE_MS = 60_000;
// A minute is in the history some 15 s after its end at most.
const SETTLED_MS = 15_000;

/** Draws where the page has a place for it; gives who is told what happens. */
export function instance() {
  const place = document.querySelector('#chart[data-instance]');
  return place === null ? null : new Minutes(place);
}

class Minutes extends Panels {
  constructor(place) {
    super(place, PANELS);
    this.instance = place.dataset.instance;
    this.known = [];
    this.step = 60;
    this.load();
  }

  async load() {
    this.due = Math.floor(now() / MINUTE_MS + 1) * MINUTE_MS + SETTLED_MS;
    const from = now() - RANGE_S * 1000;
    const path = `/v1/services/${this.service}/instances/${this.instance}/series?step=1m&from=${Math.floor(from)}`;
    const answer = await fetch(path, { headers: authorization() }).catch(() => null);
    if (!answer?.ok) return;
    this.known = (await answer.json()).points;
    this.draw();
  }

  /** Something is told each second; of it a minute comes of which nothing is here yet. */
  take() {
    if (now() >= this.due) this.load();
  }

  /** Where it lies among the last 30 minutes, also of one that is gone. */
  span() {
    const end = now() / 1000;
    return [end - RANGE_S, end];
  }

  lost() {}
}
