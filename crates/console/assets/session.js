// Who this is: a token in the storage of this window, which no other origin and no other window reads, and no cookie.

const KEY = 'bellows-token';

/** The header of a request with the rights of whoever is logged in. */
export function authorization() {
  const token = sessionStorage.getItem(KEY);
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

/** Whether somebody is logged in. */
export const isLoggedIn = () => sessionStorage.getItem(KEY) !== null;

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
  const { told, problem } = await ask('POST', { 'content-type': 'application/json' }, JSON.stringify({ code }));
  if (problem === undefined) sessionStorage.setItem(KEY, told.secret);
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
  sessionStorage.removeItem(KEY);
  show();
  say(`You are not logged in any more. ${reason}`);
}

/** Ends the token, and with it what this window may do. What is not a login's own is only forgotten. */
async function logOut() {
  const { problem, status } = await ask('DELETE', authorization());
  if (problem !== undefined && ![401, 409].includes(status)) {
    say(`Not logged out. ${problem}`);
    return;
  }
  sessionStorage.removeItem(KEY);
  location.reload();
}

function say(text) {
  document.getElementById('said').textContent = text;
}

function show() {
  const place = document.getElementById('session');
  if (!isLoggedIn()) {
    place.replaceChildren('Reading only');
    return;
  }
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Log out';
  button.addEventListener('click', logOut);
  place.replaceChildren(button);
}
