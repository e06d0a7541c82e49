// Creation of DOM elements; text is never parsed as markup.

/** Return the element with an id. */
export function the(id) {
  return document.getElementById(id);
}

/** Create an element with attributes, "on…" handlers and children (nodes or text). */
export function element(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

/** Create an SVG element. */
export function shape(name, attributes = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function furnish(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Set text only if it differs, so that screen readers do not repeat it. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const SHAPES = {
  tumour: ["path", { d: "M8 1.5 14.5 8 8 14.5 1.5 8Z", fill: "currentColor" }],
  "no tumour": ["circle", { cx: 8, cy: 8, r: 5.5, fill: "none", stroke: "currentColor", "stroke-width": 2.2 }],
  class: ["rect", { x: 3, y: 3, width: 10, height: 10, fill: "none", stroke: "currentColor", "stroke-width": 2.2 }],
  refer: ["path", { d: "M8 2 15 14H1Z", fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-linejoin": "round" }],
  none: ["path", { d: "M3 8h10", stroke: "currentColor", "stroke-width": 2.2 }],
  waiting: ["path", { d: "M4 8h.01M8 8h.01M12 8h.01", stroke: "currentColor", "stroke-width": 2.4, "stroke-linecap": "round" }],
};

/** The icon of a verdict or state, hidden from screen readers. */
export function sign(kind) {
  const [name, attributes] = SHAPES[kind] ?? SHAPES.none;
  return shape("svg", { viewBox: "0 0 16 16", class: "sign", "aria-hidden": "true" }, shape(name, attributes));
}
