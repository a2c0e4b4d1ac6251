// Who this is: a token in the storage of this window, which no other origin and no other window reads, and no cookie.

const KEY = 'bellows-token';

/** The header of a request with the rights of whoever is logged in. */
export function authorization() {
  const token = sessionStorage.getItem(KEY);
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

/** Whether somebody is logged in. */
export const isLoggedIn = () => sessionStorage.getItem(KEY) !== null;

/** Takes the code out of the address before anything else sees it, exchanges it, and says who is logged in. */
export async function begin() {
  const code = new URLSearchParams(location.hash.slice(1)).get('code');
  if (code !== null) {
    history.replaceState(null, '', location.pathname + location.search);
    await exchange(code);
  }
  show();
}

async function exchange(code) {
  const answer = await fetch('/v1/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  });
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) {
    sessionStorage.setItem(KEY, told.secret);
  } else {
    document.getElementById('said').textContent = told.detail ?? 'This link does not log in.';
  }
}

/** A token that the scaler does not know any more is none. */
export function forget() {
  sessionStorage.removeItem(KEY);
  show();
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
  button.addEventListener('click', async () => {
    await fetch('/v1/login', { method: 'DELETE', headers: authorization() }).catch(() => null);
    forget();
    location.reload();
  });
  place.replaceChildren(button);
}
