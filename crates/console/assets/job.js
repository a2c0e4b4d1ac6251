// A job is followed to its end, with what it writes.

import { element } from './actions.js';
import { authorization, isLoggedIn, onceForgotten } from './session.js';
import { atEnd, harmless } from './logs.js';

// Between two looks at a job, in milliseconds.
const PAUSE = 1000;
// Characters of a log that a page has; a build may write without end.
const LOG_MAX = 500_000;

/** Follows jobs on a page that has a place for what they write. */
export function job() {
  followed();
}

/** The same; where `leadsThere`, one that ended well leads to the page of its service. */
export function followed({ leadsThere } = { leadsThere: false }) {
  const log = new JobLog(leadsThere);
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-job]');
    if (button !== null) log.show(button.dataset.job);
  });
  log.follow();
  return log;
}

/** What a job writes: the one that was chosen, until another is under way. */
class JobLog {
  constructor(leadsThere) {
    this.leadsThere = leadsThere;
    this.id = null;
    // What it writes is told to those who are logged in alone.
    onceForgotten(() => this.id !== null && this.show(this.id));
    // Those that were shown, so that whoever chooses another while one is under way is left with it.
    this.seen = new Set();
  }

  // The place of it may come to the page later.
  get place() {
    return document.getElementById('job-log');
  }

  get said() {
    return document.getElementById('job-log-said');
  }

  get text() {
    return document.getElementById('job-log-text');
  }

  /** Shows this one from its begin. */
  show(id) {
    this.id = id;
    this.place.hidden = false;
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
    if (this.said.textContent !== text) this.said.replaceChildren(text);
    if (this.leadsThere && outcome?.is_well && this.said.querySelector('a') === null) this.said.append(' ', there(job.service));
    this.said.classList.toggle('bad', outcome?.is_well === false);
  }
}

/** The way to the page of a service. */
function there(service) {
  const link = element('a', `See ${service}`);
  link.href = `/services/${service}`;
  return link;
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
