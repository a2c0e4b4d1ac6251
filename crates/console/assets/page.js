// What every page does: it logs in, follows what happens, draws, and lets things be changed.

import { begin as tellTime, shown } from './moments.js';
import { begin } from './session.js';
import { follow } from './follow.js';
import { changes, say } from './actions.js';

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

// What draws or fills which place, by the name of its script and of the function that begins it. It is loaded where there is
// such a place: an overview is live some 50 ms sooner without those that draw.
const PLACES = {
  '#chart:not([data-instance])': 'charts',
  '#chart[data-instance]': 'instance',
  '#help': 'help',
  '#settings': 'policy',
  '#log': 'logs',
  '#deploy-form': 'versions',
  '[data-page="experiment"] #job-log': 'job',
  '#experiment-form': 'experiments',
  '[data-page="experiment"]': 'results',
};

const places = new WeakSet();
// What is told to one that is loaded still waits for it, in its order.
const begun = new Map();

/** Draws and fills where there is a place for it, once for each: it may come later, with a token or with its service. */
function start() {
  for (const [selector, name] of Object.entries(PLACES)) {
    const place = document.querySelector(selector);
    if (place === null || places.has(place)) continue;
    places.add(place);
    begun.set(name, load(name));
  }
}

async function load(name) {
  const script = await import(`./${name}.js`).catch(() => say('A part of this page could not be loaded: load the page again.'));
  return script?.[name]();
}

function tell(what) {
  for (const part of begun.values()) part.then((it) => it && what(it));
}

tellTime();
await begin();
prepare(document);
start();
changes();
follow({
  prepare,
  start,
  tell: (kind, data) => tell((it) => it.take(kind, data)),
  lost: () => tell((it) => it.lost()),
});
