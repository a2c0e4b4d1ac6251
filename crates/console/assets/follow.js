// Follows the page as the server tells it: the same address, as a text of events. `EventSource` cannot send who asks.

import { heard, now, shown as at } from './moments.js';
import { authorization, forget, isLoggedIn } from './session.js';
import { morph } from './morph.js';

// How long to wait before asking again, in milliseconds: twice as long each time, up to the last.
const WAIT = [500, 10_000];
// The server sends something at least every 15 s; without it for so long the connection is lost.
const SILENCE = 20_000;

/** Follows for as long as the page is shown, and whoever looks may see something of it. */
export async function follow(page) {
  const state = { lastId: null, wait: WAIT[0], since: null };
  for (;;) {
    await shown();
    const end = await listen(state, page);
    if (document.hidden) continue;
    if (end.status === 401 && isLoggedIn()) {
      // Somebody may have logged in since that was asked.
      if (end.token === authorization().authorization) forget(end.message);
      continue;
    }
    if (end.status === 401 && await empty(page)) {
      say('following', 'Not logged in');
      return;
    }
    state.since ??= now();
    say('following', `Connection lost at ${at(state.since)}: trying again. ${end.message ?? ''}`.trim());
    page.lost();
    await new Promise((done) => setTimeout(done, state.wait));
    state.wait = Math.min(state.wait * 2, WAIT[1]);
  }
}

/** Listens until there is an end; gives the status and the sentence with which it was refused, where it was. */
async function listen(state, page) {
  const ending = new AbortController();
  const hide = () => document.hidden && ending.abort();
  document.addEventListener('visibilitychange', hide);
  try {
    const rights = authorization();
    const answer = await ask(state.lastId, rights, ending.signal);
    if (!answer.ok) return { ...await refusal(answer), token: rights.authorization };
    heard(Date.parse(answer.headers.get('date')));
    say('following', 'Live');
    Object.assign(state, { wait: WAIT[0], since: null });
    for await (const event of events(answer.body, ending)) {
      state.lastId = event.id ?? state.lastId;
      take(event, page);
    }
  } catch {
    // Whatever it was, there is nothing more to hear.
  } finally {
    document.removeEventListener('visibilitychange', hide);
  }
  return {};
}

async function refusal(answer) {
  const told = await answer.json().catch(() => ({}));
  return { status: answer.status, message: told.detail ?? answer.statusText };
}

function ask(lastId, rights, signal) {
  const headers = { accept: 'text/event-stream', ...rights };
  if (lastId !== null) headers['last-event-id'] = lastId;
  return fetch(location.pathname + location.search, { headers, signal });
}

/** Leaves nothing on the page but what anybody may see; says whether it is so. */
async function empty(page) {
  const answer = await fetch(location.pathname + location.search).catch(() => null);
  const text = await answer?.text().catch(() => null);
  if (text === undefined || text === null) return false;
  const told = new DOMParser().parseFromString(text, 'text/html');
  page.prepare(told);
  document.getElementById('main').replaceChildren(...told.getElementById('main').childNodes);
  return true;
}

function shown() {
  if (!document.hidden) return null;
  return new Promise((done) => document.addEventListener('visibilitychange', done, { once: true }));
}

/** The events of a text of events, as they come (WHATWG HTML, 9.2.6). */
async function* events(body, ending) {
  let event = {};
  for await (const line of lines(body, ending)) {
    if (line === '') {
      if (event.data !== undefined) yield event;
      event = {};
    }
    const colon = line.indexOf(':');
    if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
  }
}

async function* lines(body, ending) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const silence = setTimeout(() => ending.abort(), SILENCE);
    const { value, done } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop();
    yield* parts;
  }
}

function take(event, page) {
  const data = JSON.parse(event.data);
  if (event.event === 'regions') {
    showOnly(data.ids);
    return;
  }
  if (event.event !== 'region') {
    page.tell(event.event, data);
    return;
  }
  const region = document.getElementById(data.id);
  // What a region says is text of the server's, in which all that others wrote is escaped; the policy of the page lets
  // nothing run that stands in it.
  const told = new DOMParser().parseFromString(`<section>${data.html}</section>`, 'text/html');
  page.prepare(told);
  morph(region, told.body.firstElementChild);
  page.start();
  if (performance.getEntriesByName('live').length === 0) performance.mark('live');
}

/** Shows these regions, in this order. The others are of what is gone or not known now: what was typed there may be of use again. */
function showOnly(ids) {
  const main = document.getElementById('main');
  for (const region of main.querySelectorAll(':scope > [data-region]')) region.hidden = !ids.includes(region.id);
  let before = null;
  for (const id of ids) before = document.getElementById(id) ?? added(id, before, main);
}

/** A region that was not there when the page was made, behind another. */
function added(id, before, main) {
  const region = document.createElement('section');
  region.id = id;
  region.dataset.region = '';
  if (before === null) main.append(region);
  else before.after(region);
  return region;
}

function say(id, text) {
  const place = document.getElementById(id);
  if (place.textContent !== text) place.textContent = text;
}
