// An archive is sent, and the job that deploys it followed.

import { authorization, isLoggedIn } from './session.js';

// What the scaler takes at most.
const ARCHIVE_MAX_BYTES = 64 * 1024 * 1024;

/** Lets archives be sent, where the page has a place for it; the job is shown in the log of jobs. */
export function versions(log) {
  const form = document.getElementById('deploy-form');
  form?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const job = await deploy(form);
    if (job !== null) log.show(job.id);
  });
}

/** Sends what was chosen; gives the job that deploys it, or `null` where there is none. */
async function deploy(form) {
  const said = form.querySelector('#deploy-said');
  const say = (text, isBad = false) => {
    said.textContent = text;
    said.classList.toggle('bad', isBad);
  };
  if (!isLoggedIn()) {
    say(`To deploy, ${LOG_IN}`, true);
    return null;
  }
  const [file] = form.elements.archive.files;
  const { kind, problem } = await packing(file);
  if (problem !== undefined) {
    say(problem, true);
    return null;
  }
  const button = form.querySelector('button');
  button.disabled = true;
  const { job, refused } = await send(form, file, kind, say);
  button.disabled = false;
  say(refused ?? `Sent. The job ${job.id} deploys it: how far it has come is below.`, refused !== undefined);
  return job ?? null;
}

/** How an archive is packed, by what it begins with: its name may say anything. */
async function packing(file) {
  if (file.size > ARCHIVE_MAX_BYTES) {
    return { problem: `The archive has ${mib(file.size)}, and ${mib(ARCHIVE_MAX_BYTES)} is what is taken: leave out what the application does not need.` };
  }
  const head = await bytes(file.slice(0, 512));
  if (head === null) return { problem: 'The file cannot be read any more: choose it again.' };
  if (head[0] === 0x1f && head[1] === 0x8b) return { kind: 'application/gzip' };
  // POSIX has this word at this place of the first header.
  const magic = new TextDecoder('latin1').decode(head.subarray(257, 262));
  if (magic === 'ustar') return { kind: 'application/x-tar' };
  return { problem: `${file.name} is neither a tar archive nor one that gzip compressed. Nothing was sent.` };
}

function bytes(part) {
  return part.arrayBuffer().then((buffer) => new Uint8Array(buffer), () => null);
}

/** Sends it, and tells how much of it has gone: `fetch` does not. */
function send(form, file, kind, say) {
  const bar = form.querySelector('progress');
  const began = Date.now();
  const request = new XMLHttpRequest();
  const replace = form.elements.replace.checked ? '?replace=true' : '';
  request.open('POST', `/v1/services/${form.dataset.service}/deploys${replace}`);
  request.setRequestHeader('content-type', kind);
  for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
  request.upload.addEventListener('progress', ({ loaded, total }) => {
    bar.value = loaded / total;
    say(`${mib(loaded)} of ${mib(total)} sent, ${Math.round((Date.now() - began) / 1000)} s …`);
  });
  bar.hidden = false;
  return new Promise((done) => {
    const end = (answer) => {
      bar.hidden = true;
      done(answer);
    };
    request.addEventListener('load', () => end(answer(request)));
    request.addEventListener('error', () => end({
      refused: 'No answer came. It may have been taken: look at the deploys below before you send it again.',
    }));
    request.send(file);
  });
}

function answer(request) {
  const told = parsed(request.responseText);
  if (request.status >= 200 && request.status < 300 && told?.id !== undefined) return { job: told };
  return { refused: `Not deployed. ${told?.detail ?? told?.title ?? request.statusText}` };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const mib = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
