// What every page does: it logs in, follows what happens, draws, and lets things be changed.

import { begin as tellTime, shown } from './moments.js';
import { begin } from './session.js';
import { follow } from './follow.js';
import { changes } from './actions.js';
import { help } from './help.js';
import { charts } from './charts.js';
import { policy } from './policy.js';
import { instance } from './instance.js';
import { logs } from './logs.js';
import { versions } from './versions.js';
import { jobLog } from './job-log.js';
import { experiments } from './experiments.js';
import { results } from './results.js';

/** Shows moments in the time zone of whoever looks. */
function localMoments(root) {
  for (const time of root.querySelectorAll('time')) {
    time.title = time.dateTime;
    time.textContent = shown(Date.parse(time.dateTime));
  }
}

/** What works with scripts alone is shown where there are any. */
function enable(root) {
  for (const element of root.querySelectorAll('[data-needs-scripts]')) element.hidden = false;
}

function prepare(root) {
  localMoments(root);
  enable(root);
}

const places = new WeakSet();
let drawn = null;

/** Draws and fills where there is a place for it, once for each: it may come later, with a token or with its service. */
function start() {
  const isNew = (place) => place !== null && !places.has(place) && places.add(place);
  if (isNew(document.getElementById('chart'))) drawn = instance() ?? charts();
  if (isNew(document.getElementById('help'))) help();
  if (isNew(document.getElementById('settings'))) policy();
  if (isNew(document.getElementById('log'))) logs();
  if (isNew(document.getElementById('job-log'))) versions(jobLog());
  const form = document.getElementById('experiment-form');
  if (isNew(form)) experiments(form);
}

tellTime();
await begin();
prepare(document);
start();
changes();
results();
follow({ prepare, start, tell: (kind, data) => drawn?.take(kind, data), lost: () => drawn?.lost() });
