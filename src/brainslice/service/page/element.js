// Making elements from code; text is always text, so that no file name is ever read as markup.

/** The element of this id. */
export function the(id) {
  return document.getElementById(id);
}

/** Make an element: attributes by name, handlers by "on…", children as nodes or text. */
export function element(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

/** Make an element of a drawing. */
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

/** Set text only where it differs, so that what is read aloud or focused stays in place. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
