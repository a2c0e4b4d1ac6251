// Who this is: a token in the storage of this window, which no other origin and no other window reads, and no cookie.

import { session } from './storage.js';

const KEY = 'bellows-token';
const FORGOTTEN = 'bellows-forgotten';

/** How one logs in, behind what that is for and a comma. */
export const LOG_IN = session.isKept
  ? 'log in: `sudo bellows open` on the host prints a link that does.'
  : 'log in, which needs storage: let this address have it, which this browser refuses as it does cookies.';

/** The header of a request with the rights of whoever is logged in. */
export function authorization() {
  const token = session.get(KEY);
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

/** Whether somebody is logged in. */
export const isLoggedIn = () => session.get(KEY) !== null;

/** Does this once whoever is logged in is not any more. */
export function onceForgotten(then) {
  addEventListener(FORGOTTEN, then, { once: true });
}

/** Logs in by the code of the address, where there is one, and says who is logged in. */
export async function begin() {
  await useCode();
  show();
  // A link that is opened where the page already is loads no other.
  addEventListener('hashchange', async () => {
    if (await useCode()) location.reload();
  });
}

/** Takes the code out of the address before anything else sees it, and exchanges it; says whether that logged in. */
async function useCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get('code');
  if (code === null) return false;
  history.replaceState(null, '', location.pathname + location.search);
  if (!session.isKept) {
    // The code is still of use, to another browser.
    say(`Not logged in. To do so, ${LOG_IN}`);
    return false;
  }
  const { told, problem } = await ask('POST', { 'content-type': 'application/json' }, JSON.stringify({ code }));
  if (problem === undefined) session.set(KEY, told.secret);
  else say(problem);
  return problem === undefined;
}

async function ask(method, headers, body) {
  const answer = await fetch('/v1/login', { method, headers, body }).catch(() => null);
  if (answer === null) return { problem: 'The console gives no answer: try again.' };
  const told = await answer.json().catch(() => ({}));
  return answer.ok ? { told } : { status: answer.status, problem: told.detail ?? answer.statusText };
}

/** A token that the scaler does not know any more is none, for this reason. */
export function forget(reason) {
  session.remove(KEY);
  show();
  say(`You are not logged in any more. ${reason}`);
  dispatchEvent(new Event(FORGOTTEN));
}

/** Ends the token, and with it what this window may do. What is not a login's own is only forgotten. */
async function logOut() {
  const { problem, status } = await ask('DELETE', authorization());
  if (problem !== undefined && ![401, 409].includes(status)) {
    say(`Not logged out. ${problem}`);
    return;
  }
  session.remove(KEY);
  location.reload();
}

function say(text) {
  document.getElementById('said').textContent = text;
}

function show() {
  const place = document.getElementById('session');
  if (!isLoggedIn()) {
    place.replaceChildren(session.isKept ? 'Reading only' : 'Reading only: to log in needs storage, which this browser refuses');
    return;
  }
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Log out';
  button.addEventListener('click', logOut);
  place.replaceChildren(button);
}
