// Moments: by the clock of the host, since that of whoever looks may be an hour off, and shown in 24 hours and as ISO dates, in
// the time zone of whoever looks.

// How far the clock of the browser is ahead, in milliseconds.
let ahead = 0;

/** The time of day, in milliseconds since 1970. */
export const now = () => Date.now() - ahead;

/** It was this time of day when what came just now was sent. */
export function heard(at) {
  if (Number.isFinite(at)) ahead = Date.now() - at;
}

/** A page says when it was made, and the browser how long ago that came. */
export function begin() {
  const made = document.querySelector('#following time')?.dateTime;
  const [loaded] = performance.getEntriesByType('navigation');
  heard(Date.parse(made) + performance.now() - (loaded?.responseStart ?? 0));
}

const two = (number) => String(number).padStart(2, '0');

/** The time of day of a date, to the second or to the minute. */
export function timeOf(date, withSeconds = true) {
  const parts = [date.getHours(), date.getMinutes()];
  if (withSeconds) parts.push(date.getSeconds());
  return parts.map(two).join(':');
}

export function dayOf(date) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** A moment, with its day unless that is today. */
export function shown(at) {
  const date = new Date(at);
  const day = dayOf(date);
  return day === dayOf(new Date(now())) ? timeOf(date) : `${day} ${timeOf(date)}`;
}
