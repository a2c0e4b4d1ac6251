// Figures as fields of a form: copied from templates, filled with values, read as values, and marked with what is wrong.
// A field's place is the key that the API names it by: `entries[0].from`.

let ids = 0;

/** A copy of what a template holds. */
export function copy(template) {
  const copied = template.content.cloneNode(true);
  describe(copied);
  return copied;
}

/** Fills in the rows that there are where nothing is said. */
export function fillRows(container) {
  for (const field of fields(container)) {
    if (field.dataset.default !== undefined) fill(container, { [field.dataset.key]: JSON.parse(field.dataset.default) });
  }
}

/** Ties each field to what it means and to what is wrong with it, by ids. */
export function describe(root) {
  for (const field of root.querySelectorAll('.field')) {
    const said = [...field.children].filter((it) => it.matches('small, .wrong'));
    for (const it of said) it.id = `said-${++ids}`;
    control(field).setAttribute('aria-describedby', said.map((it) => it.id).join(' '));
  }
}

/** What has the value; of several controls, what is around them. */
function control(field) {
  return field.matches('fieldset') ? field : field.querySelector('input, select');
}

/** The fields of a form, a part or a row, without those of the rows in them. */
function fields(container) {
  return [...container.querySelectorAll('.field')].filter((field) => {
    const around = field.parentElement.closest('.field');
    return around === null || !container.contains(around);
  });
}

const rows = (field) => [...field.querySelector(':scope > ol').children];

/** Fills in these values; where one is not there, what is there stays. */
export function fill(container, values) {
  for (const field of fields(container)) {
    const value = values[field.dataset.key];
    if (value === undefined) continue;
    const input = control(field);
    switch (field.dataset.form) {
      case 'rows':
        field.querySelector(':scope > ol').replaceChildren();
        for (const row of value) fill(addRow(field), row);
        break;
      case 'words':
        for (const box of field.querySelectorAll('input')) box.checked = value.includes(box.value);
        break;
      default:
        input.value = value;
    }
  }
}

export function addRow(field) {
  field.querySelector(':scope > ol').append(copy(field.querySelector(':scope > template')));
  return rows(field).at(-1);
}

/** What is given. What is empty is left out, so that it has its default. */
export function read(container) {
  const given = fields(container).map((field) => [field.dataset.key, value(field)]);
  return Object.fromEntries(given.filter(([, it]) => it !== undefined));
}

function value(field) {
  const input = control(field);
  switch (field.dataset.form) {
    case 'rows':
      return rows(field).map(read);
    case 'words':
      return [...field.querySelectorAll('input:checked')].map((box) => box.value);
    case 'number':
      return input.value === '' ? undefined : Number(input.value);
    default:
      return input.value === '' && !input.required ? undefined : input.value;
  }
}

/** The fields by their places, those of rows too. */
export function places(container, before = '') {
  return fields(container).flatMap((field) => {
    const place = before + field.dataset.key;
    const inner = field.dataset.form === 'rows' ? rows(field) : [];
    return [[place, field], ...inner.flatMap((row, index) => places(row, `${place}[${index}].`))];
  });
}

/** Takes all marks away. */
export function unmark(container) {
  for (const field of container.querySelectorAll('.field')) {
    control(field).removeAttribute('aria-invalid');
    const wrong = field.querySelector(':scope > .wrong');
    wrong.hidden = true;
    wrong.textContent = '';
  }
}

/** Marks what is no number; says whether there is any. */
export function markNoNumbers(container) {
  const none = [...container.querySelectorAll('.field[data-form="number"]')].filter((field) => control(field).validity.badInput);
  for (const field of none) markField(field, 'This is no number.');
  return none.length > 0;
}

/** Marks the field that a sentence is about, and the one that it does not go with; says whether there is one. */
export function mark(found, sentence) {
  const keys = [...sentence.matchAll(/^([\w.[\]]+)(?=: | is )|(?:above|not below) ([\w.[\]]+)(?=, )/g)];
  const marked = keys.map(([, first, second]) => nearest(new Map(found), first ?? second)).filter((it) => it !== undefined);
  marked.forEach((field, index) => markField(field, index === 0 ? sentence : ''));
  return marked.length > 0;
}

/** The field of a key, or the one around it. */
function nearest(found, key) {
  for (let place = key.replace(/^(policy|bounds)\./, ''); place !== ''; place = place.replace(/(^|\.|\[)[^.[]*$/, '')) {
    if (found.has(place)) return found.get(place);
  }
  return undefined;
}

function markField(field, sentence) {
  control(field).setAttribute('aria-invalid', 'true');
  const wrong = field.querySelector(':scope > .wrong');
  wrong.textContent = sentence;
  wrong.hidden = sentence === '';
}
