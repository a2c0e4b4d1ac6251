// An archive of an application is sent, a new one's or a next version, and what is under way is followed to its end.

import { element } from './actions.js';
import { LOG_IN, authorization, isLoggedIn } from './session.js';
import { followed } from './job.js';

// What the scaler takes at most.
const ARCHIVE_MAX_BYTES = 64 * 1024 * 1024;
// With these codes the scaler says whose a name is.
const NAMES_ANOTHER = new Set(['of_a_folder', 'of_a_file']);
// As the host takes names.
const NAME = /^[a-z]([a-z0-9-]{0,29}[a-z0-9])?$/;

/** Lets archives be sent, and follows jobs, where the page has places for it. */
export function versions() {
  const form = document.getElementById('deploy-form');
  if (form === null) return;
  const isNew = form.dataset.service === undefined;
  const log = followed({ leadsThere: isNew });
  // Not when the field is left: what is said there would move the button away from below who presses it.
  if (isNew) form.elements.service.addEventListener('input', () => wrongName(form));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = form.querySelector('button');
    button.disabled = true;
    const job = await deploy(form);
    button.disabled = false;
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
  const service = form.dataset.service ?? await freeName(form);
  if (service === null) return null;
  const [file] = form.elements.archive.files;
  const { kind, problem } = await packing(file);
  if (problem !== undefined) {
    say(problem, true);
    return null;
  }
  const { job, refused, code } = await send(form, service, file, kind, say);
  if (NAMES_ANOTHER.has(code) && form.dataset.service === undefined) {
    say('');
    wrongName(form, refused);
    return null;
  }
  say(refused ?? `Sent. The job ${job.id} deploys it: how far it has come is below.`, refused !== undefined);
  return job ?? null;
}

/** The name of a new service; `null` where it is none, or is taken, which is said at it. */
async function freeName(form) {
  const name = form.elements.service.value;
  const wrong = NAME.test(name)
    ? await taken(name)
    : [`“${name}” is not a name: use 1 to 31 of a-z, 0-9 and -, starting with a letter and not ending with -.`];
  wrongName(form, ...wrong);
  if (wrong.length === 0) return name;
  form.elements.service.focus();
  return null;
}

/** Why a name cannot be had; nothing where it can. */
async function taken(name) {
  const answer = await fetch(`/v1/services/${name}`, { headers: authorization() }).catch(() => null);
  if (answer === null) return ['The console gives no answer: try again.'];
  if (answer.status === 404) return [];
  if (!answer.ok) return [(await answer.json().catch(() => ({}))).detail ?? answer.statusText];
  const link = element('a', 'the page of its versions');
  link.href = `/services/${name}/versions`;
  return [`There is a service ${name} already: its next version is deployed on `, link, '.'];
}

function wrongName(form, ...why) {
  form.elements.service.setAttribute('aria-invalid', String(why.length > 0));
  form.querySelector('#deploy-name-wrong').replaceChildren(...why);
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
function send(form, service, file, kind, say) {
  const bar = form.querySelector('progress');
  const began = Date.now();
  const request = new XMLHttpRequest();
  const replace = form.elements.replace?.checked ? '?replace=true' : '';
  request.open('POST', `/v1/services/${service}/deploys${replace}`);
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
  return { refused: `Not deployed. ${told?.detail ?? told?.title ?? request.statusText}`, code: told?.code };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const mib = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
