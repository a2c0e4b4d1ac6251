// What a policy would have run under the load that was, drawn over what ran, in a sentence and in a table.

import { ask, element } from './actions.js';
import { shown } from './moments.js';
import { columnWidth, keepFitting, look } from './plot.js';

const PANELS = [
  {
    title: 'Instances ready',
    steps: true,
    lines: [
      { name: 'what ran', colour: '--line-2' },
      { name: 'this policy', colour: '--line-1', dash: [6, 3] },
    ],
    of: [(step) => step.ran?.ready.mean ?? null, (step) => step.ready],
  },
  {
    title: 'Requests/s',
    lines: [
      { name: 'offered', colour: '--line-1' },
      { name: 'failed with this policy', colour: '--line-3' },
    ],
    of: [(step) => step.offered_rps, (step) => step.failed_rps],
  },
];

// Rows of the table, and the seconds of an hour.
const ROWS = 12;
const HOUR = 3600;

/** Lets the policy of a form be tried. */
export function preview(place, policies) {
  const shown = new Preview(place, policies);
  for (const button of place.querySelectorAll('button[data-query]')) {
    button.addEventListener('click', () => shown.ask(button));
  }
  policies.form.addEventListener('input', () => shown.isOld());
}

class Preview {
  constructor(place, policies) {
    this.policies = policies;
    this.path = `/v1/services/${place.dataset.service}`;
    this.told = place.querySelector('.told');
    this.plots = place.querySelector('.plots');
    this.table = place.querySelector('.table');
    this.charts = [];
    keepFitting(this.plots, () => this.draw(), () => this.charts);
  }

  async ask(button) {
    if (this.policies.isNoNumber()) return;
    this.told.textContent = 'It is computed …';
    const answer = await ask('POST', `${this.path}/preview?${button.dataset.query}`, JSON.stringify(this.policies.value()));
    this.steps = [];
    if (answer.problem === undefined) {
      this.steps = await this.besideWhatRan(answer.told);
      this.told.replaceChildren(...sentences(answer.told, button.dataset.of).map((it) => element('p', it)));
    } else {
      this.policies.isOfField(answer.problem);
      this.told.textContent = `No preview. ${answer.problem}`;
    }
    this.draw();
    this.tabulate();
  }

  /** Each step, with what the history has of it. */
  async besideWhatRan({ points, step_s: step }) {
    const [from, to] = [points.at(0).at_ms, points.at(-1).at_ms + step * 1000];
    const { told } = await ask('GET', `${this.path}/series?step=${step === 1 ? '1s' : '1m'}&from=${from}&to=${to}`);
    const ran = new Map((told?.points ?? []).map((point) => [point.at_ms, point]));
    return points.map((point) => ({ ...point, ran: ran.get(point.at_ms) }));
  }

  /** What is shown is of another policy than the form has. */
  isOld() {
    if (this.charts.length > 0 && !this.told.querySelector('.old')) {
      const old = element('strong', 'The form was changed since: preview it again.');
      old.className = 'old';
      this.told.prepend(old, ' ');
    }
  }

  draw() {
    for (const chart of this.charts) chart.destroy();
    this.charts = [];
    if (!(this.steps?.length > 0)) return;
    const width = columnWidth(this.plots);
    this.charts = PANELS.map((panel) => {
      const data = [this.steps.map((step) => step.at_ms / 1000), ...panel.of.map((of) => this.steps.map(of))];
      return new uPlot({ ...look(panel), width, cursor: { sync: { key: this.path } } }, data, this.plots);
    });
  }

  /** The same in figures, for who sees no picture. */
  tabulate() {
    this.table.replaceChildren();
    if (this.steps.length === 0) return;
    const details = document.createElement('details');
    const table = document.createElement('table');
    table.append(row('th', ['From', 'Requests/s offered', 'Ready: what ran', 'Ready: this policy']));
    const size = Math.ceil(this.steps.length / ROWS);
    for (let begin = 0; begin < this.steps.length; begin += size) {
      const steps = this.steps.slice(begin, begin + size);
      const figures = [PANELS[1].of[0], ...PANELS[0].of].map((of) => mean(steps.map(of)));
      table.append(row('td', [shown(steps[0].at_ms), ...figures]));
    }
    details.append(element('summary', 'The same as a table'), table);
    this.table.append(details);
  }
}

function row(cell, texts) {
  const made = document.createElement('tr');
  made.append(...texts.map((text) => element(cell, text)));
  return made;
}

function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? '–' : rounded(known.reduce((sum, value) => sum + value, 0) / known.length);
}

function sentences({ points, totals, ran, assumed, decisions, decisions_left_out: more }, of) {
  const ready = points.map((point) => Math.round(point.ready));
  const [least, most] = [Math.min(...ready), Math.max(...ready)];
  const run = least === most ? `${least}` : `${least} to ${most}`;
  const instead = ran.instance_seconds === null ? '' : ` instead of ${hours(ran.instance_seconds)}`;
  const outside = totals.outside_objective_percent;
  return [
    `With the load of ${of} this policy would have run ${run} ready instances: ${hours(totals.instance_seconds)} instance-hours${instead},`
      + ` by ${decisions.length + more} decisions.`,
    `Of ${totals.requests} requests ${totals.failed} would have failed`
      + `${outside === null ? '' : `, and ${rounded(outside)}% would have failed or taken longer than the objective`}.`,
    `The load of ${rounded(totals.known_s / 60)} minutes is known; where it is not, the policy holds.`,
    `It goes by the bounds in force, ${assumed.bounds.min} to ${assumed.bounds.max}, launches of ${Math.round(assumed.launch_ms)} ms and`
      + ` ${Math.round(assumed.request_ms)} ms for a request.`,
    'Failures, rollouts, held numbers and other services are not in it, and clients that wait for answers would have sent otherwise:'
      + ' policies that go by the load come within half an instance of what runs, others may lie further off.',
  ];
}

const hours = (seconds) => String(Number((seconds / HOUR).toPrecision(3)));

const rounded = (value) => String(Math.round(value * 100) / 100);
