// What instances wrote: the newest lines, and those that come. It is text of others, and is never anything else here.

import { authorization, forget, isLoggedIn, onceForgotten } from './session.js';

// Lines that a page has, which are as many as the scaler tells at once: a log may have a million.
const KEPT = 5000;
// Those that it begins with, and that come with each look at earlier ones.
const FIRST = 500;
const EARLIER = 1500;
// Between two looks, in milliseconds, and after one that failed. The scaler reads files for each.
const PAUSE = 1000;
const PAUSE_AFTER_FAILURE = 5000;
// Of so much to scroll, the end is in sight.
const AT_END_PX = 40;

const MOMENT = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23',
});

/** Shows them where the page has a place for it. */
export function logs() {
  const place = document.getElementById('log');
  if (place === null || !isLoggedIn()) return;
  const show = (isShown) => {
    place.querySelector('#log-login').hidden = isShown;
    place.querySelector('#log-shown').hidden = !isShown;
  };
  const log = new Log(place);
  onceForgotten(() => {
    log.clear();
    show(false);
  });
  show(true);
  log.follow();
}

/** Characters that would do something, or turn the direction of what follows, as escapes. */
export function harmless(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (it) => `\\u{${it.codePointAt(0).toString(16)}}`);
}

/** Adds to what scrolls, and stays at its end where that is in sight. */
export function atEnd(scrolled, add) {
  const isAtEnd = scrolled.scrollHeight - scrolled.scrollTop - scrolled.clientHeight < AT_END_PX;
  add();
  if (isAtEnd) scrolled.scrollTop = scrolled.scrollHeight;
}

/** Asks for lines, of one instance or of all; gives them, or what went wrong in a sentence. */
async function ask(service, instance, since, count) {
  const query = new URLSearchParams({ lines: count, since_ms: since });
  if (instance !== '') query.set('instance', instance);
  const rights = authorization();
  const answer = await fetch(`/v1/services/${service}/output?${query}`, { headers: rights }).catch(() => null);
  if (answer === null) return { problem: 'The console gives no answer: trying again.' };
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return { lines: told.lines };
  const problem = told.detail ?? told.title ?? answer.statusText;
  // Somebody may have logged in since that was asked.
  if (answer.status === 401 && rights.authorization === authorization().authorization) forget(problem);
  return { problem };
}

class Log {
  constructor(place) {
    this.service = place.dataset.service;
    this.instance = place.dataset.instance ?? '';
    this.names = place.dataset.instance === undefined;
    this.box = place.querySelector('#log-lines');
    this.said = place.querySelector('#log-said');
    this.search = place.querySelector('#log-search');
    this.choice = place.querySelector('#log-instance');
    this.earlier = place.querySelector('#log-earlier');
    this.pause = place.querySelector('#log-pause');
    this.clear();
    this.search.addEventListener('input', () => this.filter());
    this.choice?.addEventListener('change', () => {
      this.instance = this.choice.value;
      this.clear();
      this.look();
    });
    this.earlier.addEventListener('click', () => this.again());
    this.pause.addEventListener('click', () => {
      this.isPaused = !this.isPaused;
      this.pause.setAttribute('aria-pressed', String(this.isPaused));
      this.count();
    });
  }

  /** Follows until the page is left, or nobody is logged in any more. What is hidden asks for nothing. */
  async follow() {
    while (isLoggedIn()) {
      const isQuiet = this.isPaused || document.hidden;
      const isWell = isQuiet || await this.look();
      await new Promise((done) => setTimeout(done, isWell ? PAUSE : PAUSE_AFTER_FAILURE));
    }
  }

  clear() {
    // How far lines were shown. Several have the same moment, so those of the last one are known each.
    this.since = 0;
    this.last = [];
    this.shown = [];
    this.wanted = FIRST;
    // An answer to what was asked before this is not shown.
    this.turn = Symbol('turn');
    this.box.replaceChildren();
  }

  /** Looks once; gives whether that went well. */
  async look() {
    const { turn, since } = this;
    if (this.looking === turn) return true;
    this.looking = turn;
    const count = since === 0 ? this.wanted : KEPT;
    const { lines, problem } = await ask(this.service, this.instance, since, count);
    if (turn !== this.turn) return true;
    this.looking = null;
    this.problem = problem;
    if (problem === undefined) this.take(lines, count);
    this.count();
    return problem === undefined;
  }

  /** Takes what of a page of lines since then is new. */
  take(page, count) {
    const isCut = this.since > 0 && page.length === count && page[0].at_ms > this.since;
    const known = [...this.last];
    const isNew = (line) => {
      const place = known.indexOf(key(line));
      if (place >= 0) known.splice(place, 1);
      return place < 0;
    };
    const lines = page.filter(isNew);
    if (this.since === 0) this.isAll = page.length < count;
    this.remember(lines);
    if (isCut) this.shown.forEach(({ row }) => row.remove());
    if (isCut) this.shown = [];
    this.isCut ||= isCut;
    this.add(lines);
  }

  remember(lines) {
    if (lines.length === 0) return;
    const newest = lines.at(-1).at_ms;
    if (newest > this.since) {
      this.since = newest;
      this.last = [];
    }
    this.last.push(...lines.filter((line) => line.at_ms === newest).map(key));
  }

  add(lines) {
    const text = this.search.value.toLowerCase();
    const added = lines.slice(-KEPT).map((line) => this.row(line, text));
    const left = Math.max(0, this.shown.length + added.length - KEPT);
    if (left > 0) this.isAll = false;
    atEnd(this.box, () => {
      this.shown.splice(0, left).forEach(({ row }) => row.remove());
      this.box.append(...added.map(({ row }) => row));
    });
    this.shown.push(...added);
    this.choose(lines);
  }

  row(line, searched) {
    const row = document.createElement('div');
    row.className = line.stream;
    const time = document.createElement('time');
    const at = new Date(line.at_ms);
    time.dateTime = at.toISOString();
    time.textContent = MOMENT.format(at);
    row.append(time, ' ');
    if (this.names) row.append(element('b', line.instance), ' ');
    if (line.stream === 'stderr') row.append(element('i', 'stderr'), ' ');
    row.append(element('span', harmless(line.text)));
    const text = `${line.instance} ${line.text}`.toLowerCase();
    row.hidden = !text.includes(searched);
    return { row, text };
  }

  /** Shows those that have the text that is searched for. */
  filter() {
    const text = this.search.value.toLowerCase();
    for (const line of this.shown) line.row.hidden = !line.text.includes(text);
    this.box.scrollTop = this.box.scrollHeight;
    this.count();
  }

  /** One that wrote may be gone, and can be chosen. */
  choose(lines) {
    if (this.choice === null) return;
    const known = new Set([...this.choice.options].map((option) => option.value));
    for (const { instance } of lines) {
      if (known.has(instance)) continue;
      known.add(instance);
      this.choice.append(new Option(instance, instance));
    }
  }

  /** Goes further back, as far as a page holds. */
  async again() {
    const wanted = Math.min(KEPT, this.shown.length + EARLIER);
    const before = this.box.scrollHeight - this.box.scrollTop;
    this.clear();
    this.wanted = wanted;
    if (await this.look()) this.box.scrollTop = this.box.scrollHeight - before;
  }

  /** Says how many there are. */
  count() {
    const found = this.shown.filter(({ row }) => !row.hidden).length;
    const isFull = this.shown.length >= KEPT;
    this.earlier.disabled = this.isAll || isFull;
    const of = this.search.value === '' ? `${this.shown.length} lines` : `${found} of ${this.shown.length} lines`;
    const parts = [
      this.problem,
      this.shown.length === 0 && this.problem === undefined ? 'Nothing was written yet.' : `${of}${this.isAll ? ', all that is kept' : ', the newest'}.`,
      isFull && `A page holds ${KEPT} at most.`,
      this.isCut && 'More was written than can be shown: some lines before these are left out.',
      this.isPaused && 'Paused.',
    ];
    const text = parts.filter(Boolean).join(' ');
    if (this.said.textContent !== text) this.said.textContent = text;
    this.said.classList.toggle('bad', this.problem !== undefined);
  }
}

const key = (line) => JSON.stringify([line.at_ms, line.instance, line.stream, line.text]);

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
