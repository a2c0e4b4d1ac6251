// The form in which the policy and the bounds of a service are set: filled with what is in force, checked as one types, and set
// only as long as that is still what it was filled from.

import { ask, element, mayChange, say } from './actions.js';
import { addRow, copy, describe, fill, fillRows, mark, markNoNumbers, places, read, unmark } from './figures.js';
import { preview } from './preview.js';

// How long nothing is typed before it is checked, in milliseconds: the scaler answers ten such questions a second.
const PAUSE = 300;

/** Starts it where the page has one. */
export function policy() {
  const place = document.getElementById('settings');
  if (place === null) return;
  const { service } = place.dataset;
  const policies = new Policies(place.querySelector('#set-policy'), service);
  const settings = [policies, new Setting(place.querySelector('#set-bounds'), service)];
  for (const setting of settings) setting.load();
  preview(place.querySelector('#preview'), policies);
}

/** What is set as one: the bounds, whose fields are the form's. */
class Setting {
  constructor(form, service) {
    this.form = form;
    this.name = form.dataset.setting;
    this.path = `/v1/services/${service}/${this.name}`;
    this.problem = form.querySelector('.problem');
    this.checks = 0;
    describe(form);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.set();
    });
    form.addEventListener('input', (event) => this.typed(event.target));
    form.addEventListener('click', (event) => {
      const button = event.target.closest('button[data-do]');
      if (button !== null) this.act(button.dataset.do, button);
    });
  }

  fill(value) {
    fill(this.form, value);
  }

  value() {
    return read(this.form);
  }

  places() {
    return places(this.form);
  }

  act(what) {
    if (what === 'load') this.load();
    if (what === 'clear') this.clear();
  }

  /** Fills it with what is in force. */
  async load() {
    const answer = await ask('GET', this.path);
    if (answer.problem !== undefined) {
      this.tell(answer.problem);
      return;
    }
    this.take(answer);
    this.fill(answer.told.in_force);
    this.unmark();
  }

  /** From now on what is set is set over this. */
  take({ told, tag }) {
    this.tag = tag;
    this.before = told.in_force;
    this.form.querySelector('[data-do="clear"]').hidden = told.set === null;
  }

  typed() {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.check(), PAUSE);
  }

  /** Has it checked; what comes late, and is about what is no longer there, is left. */
  async check() {
    const check = ++this.checks;
    if (this.isNoNumber()) return;
    const { problem } = await ask('POST', `${this.path}/check`, JSON.stringify(this.value()));
    if (check === this.checks) this.mark(problem);
  }

  isNoNumber() {
    this.unmark();
    return markNoNumbers(this.form);
  }

  unmark() {
    unmark(this.form);
    this.tell();
  }

  /** Says what is wrong at its field, or above all of them. */
  mark(problem) {
    if (!this.isOfField(problem)) this.tell(problem);
  }

  /** Marks the field that a problem is about; says whether there is one. */
  isOfField(problem) {
    this.unmark();
    return problem !== undefined && mark(this.places(), problem);
  }

  tell(text = '', ...more) {
    this.problem.replaceChildren(...(text === '' ? [] : [element('p', text)]), ...more);
  }

  async set() {
    clearTimeout(this.pause);
    this.checks += 1;
    if (this.tag === undefined) {
      await this.load();
      return;
    }
    if (!mayChange() || this.isNoNumber()) return;
    this.changed(await ask('PUT', this.path, JSON.stringify(this.value()), { 'if-match': this.tag }), 'set');
  }

  async clear() {
    if (mayChange()) this.changed(await ask('DELETE', this.path, undefined, { 'if-match': this.tag }), 'as its file says');
  }

  async changed({ problem, status }, done) {
    if (status === 412) {
      await this.meanwhile(problem);
    } else if (problem !== undefined) {
      this.mark(problem);
      say(`Not done. ${problem}`);
    } else {
      await this.load();
      say(`The ${this.name}: ${done}, in effect at the next turn.`);
    }
  }

  /** Another one changed it: what was typed stays until it is said what to do with it. */
  async meanwhile(problem) {
    const now = await ask('GET', this.path);
    if (now.problem !== undefined) {
      this.tell(now.problem);
      return;
    }
    const list = document.createElement('ul');
    list.append(...differences(this.before, now.told.in_force).map((it) => element('li', it)));
    const keep = button('Keep what I typed, to set it over that', () => {
      this.take(now);
      this.tell();
      this.check();
    });
    const load = button('Load what is in force now', () => this.load());
    const group = element('div');
    group.className = 'controls';
    group.append(keep, load);
    this.tell(`Nothing was set: the ${this.name} was changed since this form was filled.`, list, element('small', problem), group);
    keep.focus();
  }
}

/** The policies, each of which is a part with the figures of its kind. */
class Policies extends Setting {
  get list() {
    return this.form.querySelector('.parts');
  }

  get parts() {
    return [...this.list.children];
  }

  fill(value) {
    this.list.replaceChildren();
    for (const one of [value].flat()) this.add(one);
  }

  value() {
    const all = this.parts.map((part) => read(part));
    return all.length === 1 ? all[0] : all;
  }

  places() {
    const isOne = this.parts.length === 1;
    return this.parts.flatMap((part, index) => places(part, isOne ? '' : `policy[${index}].`));
  }

  act(what, button) {
    super.act(what);
    if (what === 'add') focusIn(this.add({ kind: this.parts[0].querySelector('select').value }));
    if (what === 'add-row') focusIn(addRow(button.closest('.rows')));
    if (what === 'remove') this.remove(button.closest('li'));
    if (['add', 'add-row', 'remove'].includes(what)) this.typed();
  }

  add(values) {
    this.list.append(copy(this.template('part')));
    const part = this.parts.at(-1);
    fill(part, { kind: values.kind });
    this.show(part);
    fill(part, values);
    this.count();
    return part;
  }

  /** Takes a part or a row out; the focus goes to where one comes from. */
  remove(item) {
    const { parentElement: list } = item;
    item.remove();
    this.count();
    const add = list === this.list ? this.form.querySelector('[data-do="add"]') : list.parentElement.querySelector(':scope > [data-do="add-row"]');
    add.focus();
  }

  /** The figures of its kind, with their defaults. */
  show(part) {
    const { value } = part.querySelector('select');
    part.querySelector('.of-kind').replaceChildren(copy(this.template(value)));
    fillRows(part);
  }

  template(name) {
    return this.form.querySelector(`template[data-template="${name}"]`);
  }

  /** The last one stays, each of several says which it is, and there are no more than may be. */
  count() {
    const { parts } = this;
    const isOne = parts.length === 1;
    parts.forEach((part, index) => {
      part.querySelector(':scope > [data-do="remove"]').hidden = isOne;
      part.querySelector('label > span').textContent = isOne ? 'Kind' : `Kind of policy ${index + 1} of ${parts.length}`;
    });
    this.form.querySelector('[data-do="add"]').disabled = parts.length >= Number(this.list.dataset.most);
  }

  typed(target) {
    if (target?.closest('.field').dataset.key === 'kind') this.show(target.closest('.part'));
    super.typed();
  }
}

function focusIn(item) {
  item.querySelector('input, select').focus();
}

/** What differs between two values, a sentence each. */
function differences(before, now) {
  const [old, recent] = [leaves(before), leaves(now)];
  const keys = [...new Set([...old.keys(), ...recent.keys()])];
  const differ = keys.filter((key) => old.get(key) !== recent.get(key));
  return differ.map((key) => `${key}: ${old.get(key) ?? 'not set'}, now ${recent.get(key) ?? 'not set'}`);
}

function leaves(value, place = '') {
  if (value === null || typeof value !== 'object') return new Map([[place, value]]);
  const inner = Object.entries(value).flatMap(([key, it]) => {
    const step = Array.isArray(value) ? `[${key}]` : `${place === '' ? '' : '.'}${key}`;
    return [...leaves(it, place + step)];
  });
  return new Map(inner);
}

function button(text, act) {
  const made = element('button', text);
  made.type = 'button';
  made.addEventListener('click', act);
  return made;
}
