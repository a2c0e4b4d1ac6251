// An experiment is asked for: what the form says goes to the scaler, and what that refuses stands at its field.

import { ask, element, mayChange, say } from './actions.js';
import { describe, mark, markNoNumbers, places, read, unmark } from './figures.js';

/** Lets one be started where the page has the form for it. */
export function experiments() {
  const form = document.getElementById('experiment-form');
  describe(form);
  const scenario = form.querySelector('.field[data-key="scenario"]');
  const tell = () => {
    scenario.querySelector('small').textContent = scenario.querySelector('select').selectedOptions[0].dataset.about;
  };
  scenario.addEventListener('change', tell);
  tell();
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    start(form);
  });
}

async function start(form) {
  const problem = form.querySelector('.problem');
  problem.replaceChildren();
  unmark(form);
  if (!mayChange() || markNoNumbers(form)) return;
  const button = form.querySelector('button');
  button.disabled = true;
  const { told, problem: refused } = await ask('POST', '/v1/experiments', JSON.stringify(read(form)));
  button.disabled = false;
  if (refused === undefined) {
    location.assign(`/experiments/${told.id}`);
    return;
  }
  say(`Not started. ${refused}`);
  if (mark(places(form), refused)) form.querySelector('[aria-invalid]').focus();
  else problem.replaceChildren(element('p', refused));
}
