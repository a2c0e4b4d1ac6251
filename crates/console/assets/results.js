// Files and pictures that experiments left. A browser asks for what a link or a picture names without the token that reading
// needs beyond the host: there they are asked for here, and shown or kept as files.

import { element, say } from './actions.js';
import { authorization, isLoggedIn } from './session.js';

/** Looks after links and pictures of results on this page, those that come later too. */
export function results() {
  // Neither bubbles, so they are caught on their way down.
  document.addEventListener('error', (event) => failed(event.target), true);
  for (const picture of document.querySelectorAll('img.run-chart')) {
    if (picture.complete && picture.naturalWidth === 0) failed(picture);
  }
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-file]');
    if (link !== null && needsToken) keep(event, link);
  });
}

// Whether a link alone was refused.
let needsToken = false;

async function failed(picture) {
  if (!picture.matches?.('img.run-chart')) return;
  const answer = picture.src.startsWith('blob:') ? null : await withToken(picture.src);
  if (answer?.ok) picture.src = URL.createObjectURL(await answer.blob());
  else picture.replaceWith(without());
}

/** What was refused for want of a token, asked for with it; `null` where that is not what was missing. */
async function withToken(address) {
  const plain = await fetch(address, { method: 'HEAD' }).catch(() => null);
  needsToken = plain?.status === 401 && isLoggedIn();
  return needsToken ? fetch(address, { headers: authorization() }).catch(() => null) : null;
}

/** What stands in the place of a picture that there is not. */
function without() {
  const text = element('p', 'There is no chart of it: its load was longer than six hours, or the file is not what a run writes.');
  text.className = 'quiet';
  return text;
}

/** Keeps a file: as a page of this console's it is not shown, since it would have a hold of it. */
async function keep(event, link) {
  event.preventDefault();
  const answer = await fetch(link.href, { headers: authorization() }).catch(() => null);
  if (!answer?.ok) {
    say(`${link.textContent} cannot be had: ${(await answer?.json().catch(() => null))?.detail ?? 'the console gives no answer.'}`);
    return;
  }
  const file = document.createElement('a');
  file.href = URL.createObjectURL(await answer.blob());
  file.download = link.href.split('/').at(-1).replace(/^report$/, 'report.html');
  file.click();
  URL.revokeObjectURL(file.href);
}
