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
  if (!picture.matches?.('img.run-chart') || picture.src.startsWith('blob:')) return;
  const plain = await fetch(picture.src, { method: 'HEAD' }).catch(() => null);
  needsToken = plain?.status === 401 && isLoggedIn();
  const answer = needsToken ? await fetch(picture.src, { headers: authorization() }).catch(() => null) : plain;
  if (needsToken && answer?.ok) picture.src = URL.createObjectURL(await answer.blob());
  else picture.replaceWith(without(picture));
}

/** What stands in the place of a picture that there is not. */
function without(picture) {
  const text = element('p', 'There is no chart of it: its load was longer than six hours, or the file is not what a run writes.');
  text.className = 'run-chart quiet';
  text.id = picture.id;
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
