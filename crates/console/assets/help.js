// The help of a first visit, which stays closed once it was closed.

const KEY = 'bellows-help';

/** Keeps it as it was left. */
export function help() {
  const place = document.getElementById('help');
  if (localStorage.getItem(KEY) === 'closed') place.open = false;
  place.addEventListener('toggle', () => localStorage.setItem(KEY, place.open ? 'open' : 'closed'));
}
