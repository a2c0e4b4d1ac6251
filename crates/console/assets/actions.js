// What is changed: a button says by its data what is asked, and of what it is to be sure before.

import { LOG_IN, authorization, forget, isLoggedIn } from './session.js';

/** Asks by HTTP; gives what was answered with its tag, or what went wrong in a sentence with its status. */
export async function ask(method, path, body, more = {}) {
  const headers = { ...authorization(), ...more };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body }).catch(() => null);
  if (answer === null) return { problem: 'The console gives no answer. What was asked may have been done: look before you ask again.' };
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return { told, tag: answer.headers.get('etag') };
  const problem = told.detail ?? told.title ?? answer.statusText;
  if (answer.status !== 401 || !isLoggedIn()) return { problem, status: answer.status };
  forget(problem);
  return { problem: `You are not logged in any more. ${problem}`, status: answer.status };
}

export function changes() {
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-method]');
    if (button !== null) change(button);
  });
}

/** Whether somebody is logged in; where nobody is, it says how to. */
export function mayChange() {
  if (!isLoggedIn()) say(`To change something, ${LOG_IN}`);
  return isLoggedIn();
}

async function change(button) {
  const { method, path, body, confirm, type } = button.dataset;
  if (!mayChange()) return;
  if ((confirm !== undefined || type !== undefined) && !(await isSure(button.textContent, confirm, type))) return;
  button.disabled = true;
  say(`${button.textContent.trim()}: asked …`);
  const { told, problem } = await ask(method, path, body);
  say(problem === undefined ? done(button.textContent.trim(), told) : `Not done. ${problem}`);
  button.disabled = false;
}

/** What came of it: in the words of the answer, or as the service answered to which something was sent. */
function done(what, told) {
  if (told.message !== undefined) return `${what}: ${told.message}`;
  if (typeof told.status !== 'number') return `${what}: done.`;
  const isWell = told.status < 400;
  return `${what}: ${isWell ? 'done' : 'not done'}, the service answered ${told.status}. ${told.body ?? ''}`.trim();
}

/** Asks whoever clicked; where there is a word to type, it has to be typed. */
function isSure(title, question, word) {
  const dialog = document.getElementById('dialog');
  const heading = element('h2', title);
  heading.id = 'dialog-title';
  const form = document.createElement('form');
  form.method = 'dialog';
  form.append(heading);
  if (question !== undefined) form.append(element('p', question));
  if (word !== undefined) {
    const input = document.createElement('input');
    Object.assign(input, { required: true, pattern: RegExp.escape?.(word) ?? word, autocomplete: 'off' });
    const label = element('label', `Type ${word} to go on `);
    label.append(input);
    form.append(label);
  }
  const yes = element('button', title);
  yes.value = 'yes';
  const no = element('button', 'Leave it');
  no.formNoValidate = true;
  form.append(yes, ' ', no);
  dialog.replaceChildren(form);
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener('close', () => done(dialog.returnValue === 'yes'), { once: true });
  });
}

export function element(name, text = '') {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

export function say(text) {
  document.getElementById('said').textContent = text;
}
