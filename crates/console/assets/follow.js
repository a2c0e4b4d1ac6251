// Follows the page as the server tells it: the same address, as a text of events. `EventSource` cannot send who asks.

import { authorization, forget, isLoggedIn } from './session.js';
import { morph } from './morph.js';

// How long to wait before asking again, in milliseconds: twice as long each time, up to the last.
const WAIT = [500, 10_000];
// The server sends something at least every 15 s; without it for so long the connection is lost.
const SILENCE = 20_000;

/** Follows for as long as the page is shown. */
export async function follow(page) {
  let lastId = null;
  let wait = WAIT[0];
  for (;;) {
    await shown();
    const ending = new AbortController();
    const hide = () => document.hidden && ending.abort();
    document.addEventListener('visibilitychange', hide);
    try {
      const answer = await ask(lastId, ending.signal);
      say('following', 'Live');
      wait = WAIT[0];
      for await (const event of events(answer.body, ending)) {
        lastId = event.id ?? lastId;
        take(event, page);
      }
    } catch (error) {
      if (error.status === 401 && isLoggedIn()) forget();
    } finally {
      document.removeEventListener('visibilitychange', hide);
    }
    if (document.hidden) continue;
    const since = new Date();
    say('following', `Connection lost at ${since.toLocaleTimeString()}: trying again`);
    page.lost(since);
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(wait * 2, WAIT[1]);
  }
}

async function ask(lastId, signal) {
  const headers = { accept: 'text/event-stream', ...authorization() };
  if (lastId !== null) headers['last-event-id'] = lastId;
  const answer = await fetch(location.pathname + location.search, { headers, signal });
  if (!answer.ok) throw Object.assign(new Error(answer.statusText), { status: answer.status });
  return answer;
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
  if (event.event !== 'region') {
    page.tell(event.event, data);
    return;
  }
  const region = document.getElementById(data.id) ?? added(data.id);
  // What a region says is text of the server's, in which all that others wrote is escaped; the policy of the page lets
  // nothing run that stands in it.
  const told = new DOMParser().parseFromString(`<section>${data.html}</section>`, 'text/html');
  page.prepare(told);
  morph(region, told.body.firstElementChild);
}

/** A region that was not there when the page was made. */
function added(id) {
  const region = document.createElement('section');
  region.id = id;
  document.getElementById('main').append(region);
  return region;
}

function say(id, text) {
  const place = document.getElementById(id);
  if (place.textContent !== text) place.textContent = text;
}
