// What every page does: it logs in, follows what happens, draws, and lets things be changed.

import { begin } from './session.js';
import { follow } from './follow.js';
import { changes } from './actions.js';
import { charts } from './charts.js';
import { policy } from './policy.js';
import { instance } from './instance.js';
import { logs } from './logs.js';
import { versions } from './versions.js';

/** Shows moments in the time zone of whoever looks. */
function localMoments(root) {
  for (const time of root.querySelectorAll('time')) {
    const moment = new Date(time.dateTime);
    const isToday = moment.toDateString() === new Date().toDateString();
    time.title = time.dateTime;
    time.textContent = isToday ? moment.toLocaleTimeString() : moment.toLocaleString();
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

await begin();
prepare(document);
const drawn = instance() ?? charts();
changes();
policy();
logs();
versions();
follow({ prepare, tell: (kind, data) => drawn?.take(kind, data), lost: (since) => drawn?.lost(since) });
