// The help of a first visit, which stays closed once it was closed.

import { always } from './storage.js';

const KEY = 'bellows-help';

/** Keeps it as it was left. */
export function help() {
  const place = document.getElementById('help');
  if (always.get(KEY) === 'closed') place.open = false;
  place.addEventListener('toggle', () => always.set(KEY, place.open ? 'open' : 'closed'));
}
