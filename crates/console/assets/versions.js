// An archive is sent, and whatever is under way is followed to its end, with what it writes.

import { LOG_IN, authorization, isLoggedIn, onceForgotten } from './session.js';
import { atEnd, harmless } from './logs.js';

// What the scaler takes at most.
const ARCHIVE_MAX_BYTES = 64 * 1024 * 1024;
// Between two looks at a job, in milliseconds.
const PAUSE = 1000;
// Characters of a log that a page has; a build may write without end.
const LOG_MAX = 500_000;

/** Lets archives be sent, and follows jobs, where the page has places for it. */
export function versions() {
  const form = document.getElementById('deploy-form');
  if (form === null) return;
  const log = new JobLog();
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const job = await deploy(form);
    if (job !== null) log.show(job.id);
  });
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-job]');
    if (button !== null) log.show(button.dataset.job);
  });
  log.follow();
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

/** What a job writes: the one that was chosen, until another is under way. */
class JobLog {
  constructor() {
    this.said = document.getElementById('job-log-said');
    this.text = document.getElementById('job-log-text');
    this.id = null;
    // What it writes is told to those who are logged in alone.
    onceForgotten(() => this.id !== null && this.show(this.id));
    // Those that were shown, so that whoever chooses another while one is under way is left with it.
    this.seen = new Set();
  }

  /** Shows this one from its begin. */
  show(id) {
    this.id = id;
    this.seen.add(id);
    this.has = { bytes: 0, ended: false };
    this.decoder = new TextDecoder();
    this.text.replaceChildren();
    this.text.hidden = true;
    this.look();
  }

  /** Follows until the page is left. What is hidden asks for nothing. */
  async follow() {
    for (;;) {
      const underWay = document.querySelector('[data-goes-on]')?.dataset.goesOn;
      if (underWay !== undefined && !this.seen.has(underWay)) this.show(underWay);
      else if (this.id !== null && !this.has.ended && !document.hidden) await this.look();
      await new Promise((done) => setTimeout(done, PAUSE));
    }
  }

  /** Asks how it stands, and then for what it wrote: of one that has ended, nothing comes behind that. */
  async look() {
    const { id, has } = this;
    if (this.looking === has) return;
    this.looking = has;
    const { value: job, problem } = await read(`/v1/jobs/${id}`, (answer) => answer.json());
    const untold = isLoggedIn() ? await this.more(id, has) : 'What it writes is told to those who are logged in.';
    if (has !== this.has) return;
    this.looking = null;
    has.ended = (job?.outcome ?? null) !== null && !has.isMore;
    this.tell(id, job, [problem, untold]);
  }

  /** Takes what it wrote since the last look; gives why it could not be had. */
  async more(id, has) {
    const { value, problem } = await read(`/v1/jobs/${id}/log?after=${has.bytes}`, (answer) => answer.arrayBuffer());
    if (has !== this.has || value === undefined) return problem;
    has.bytes += value.byteLength;
    has.isMore = value.byteLength > 0;
    this.add(harmless(this.decoder.decode(value, { stream: true })));
    return undefined;
  }

  add(text) {
    if (text === '') return;
    this.text.hidden = false;
    atEnd(this.text, () => {
      const all = this.text.textContent + text;
      // From the begin of a line on.
      const from = all.length > LOG_MAX ? all.indexOf('\n', all.length - LOG_MAX) + 1 : 0;
      this.text.textContent = all.slice(from);
    });
  }

  tell(id, job, problems) {
    const outcome = job?.outcome ?? null;
    const parts = new Set([state(id, job, outcome), ...problems].filter((part) => part !== undefined));
    const text = [...parts].join(' ');
    if (this.said.textContent !== text) this.said.textContent = text;
    this.said.classList.toggle('bad', outcome?.is_well === false);
  }
}

/** How a job stands, in a sentence; nothing where that is not known. */
function state(id, job, outcome) {
  if (job === undefined) return undefined;
  if (outcome === null) return `The job ${id} is under way: ${job.stage}.`;
  return `The job ${id} ${outcome.is_well ? 'ended well' : 'failed'}: ${harmless(outcome.verdict)}.`;
}

/** What is read at a path, or what went wrong in a sentence. */
async function read(path, take) {
  const answer = await fetch(path, { headers: authorization() }).catch(() => null);
  if (answer === null) return { problem: 'The console gives no answer: trying again.' };
  if (answer.ok) {
    const value = await take(answer).catch(() => undefined);
    return value === undefined ? { problem: 'The answer broke off: trying again.' } : { value };
  }
  const told = await answer.json().catch(() => ({}));
  return { problem: told.detail ?? told.title ?? answer.statusText };
}
