// Makes the children of one element those of another, changing what differs and nothing else: what has the focus, is
// selected or scrolled stays so.

// Scripts draw in the one, and people write in the other.
const DRAWN = '#chart, #help, #why-not-form, #settings, #deploy-form, #job-log, #log, #experiment-form, .run-chart';
// What people open stays open.
const OPENED = 'open';

export function morph(from, to) {
  const byId = new Map([...from.children].filter((it) => it.id).map((it) => [it.id, it]));
  let place = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const found = (wanted.id && byId.get(wanted.id)) || (isLike(place, wanted) ? place : null);
    if (found === null) {
      from.insertBefore(wanted, place);
      continue;
    }
    if (found === place) place = place.nextSibling;
    else from.insertBefore(found, place);
    become(found, wanted);
  }
  while (place !== null) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

/** Whether one can become the other: of the same kind, and neither is another's that is told apart by its id. */
function isLike(node, wanted) {
  if (node === null || node.nodeType !== wanted.nodeType) return false;
  return node.nodeType !== Node.ELEMENT_NODE
    || (node.tagName === wanted.tagName && node.id === wanted.id);
}

function become(node, wanted) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.data !== wanted.data) node.data = wanted.data;
    return;
  }
  if (node.matches(DRAWN)) {
    // What they are about may still be another.
    Object.assign(node.dataset, wanted.dataset);
    return;
  }
  for (const { name } of [...node.attributes]) if (name !== OPENED && !wanted.hasAttribute(name)) node.removeAttribute(name);
  for (const { name, value } of wanted.attributes) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  morph(node, wanted);
}
