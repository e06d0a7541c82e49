// The list of scans: one button each, with what was found in words and as a shape.

import { element, write } from "./element.js";
import { sign } from "./sign.js";
import { say } from "./words.js";
import { verdictOf } from "./verdict.js";
import { isOpen } from "./ways.js";

/**
 * Show the entries in `list`, keeping buttons that are there already, and with them the focus.
 * @param select Told of an entry that is chosen, and whether by a click or key of its own, not by walking the list.
 */
export function showList(list, entries, selected, select) {
  const rows = entries.map((entry) => {
    entry.row ??= makeRow(entry, select);
    fillRow(entry, entry === selected);
    return entry.row;
  });
  if (rows.length !== list.children.length || rows.some((row, place) => list.children[place] !== row)) {
    list.replaceChildren(...rows);
  }
  const stop = entries.includes(selected) ? selected : entries[0];
  for (const entry of entries) entry.row.firstChild.tabIndex = entry === stop ? 0 : -1;
}

function makeRow(entry, select) {
  const button = element("button", { type: "button", onclick: (event) => select(entry, event.isTrusted), onkeydown: moveFocus },
    element("span", { class: "list-sign" }), element("span", { class: "list-name" }), element("span", { class: "list-state" }));
  return element("li", {}, button);
}

function fillRow(entry, current) {
  const [mark, name, state] = entry.row.firstChild.children;
  const found = signOf(entry);
  if (entry.row.dataset.found !== found) {
    entry.row.dataset.found = found;
    mark.replaceChildren(sign(found));
  }
  write(name, entry.name);
  write(state, stateWords(entry));
  if (current) entry.row.firstChild.setAttribute("aria-current", "true");
  else entry.row.firstChild.removeAttribute("aria-current");
}

function signOf(entry) {
  if (entry.state === "done") return verdictOf(entry);
  return (entry.state === "refused" && !isOpen(entry)) || entry.state === "failed" ? "none" : "waiting";
}

/** What an entry has come to, in words. */
export function stateWords(entry) {
  const state = isOpen(entry) ? "open" : entry.state;
  const found = state === "done" ? say(`verdict.${verdictOf(entry)}`) : say(`state.${state}`, { seconds: entry.seconds });
  return entry.files.length > 1 ? `${found} · ${say("list.files", { files: entry.files.length })}` : found;
}

function moveFocus(event) {
  const row = event.currentTarget.parentElement;
  const next = {
    ArrowDown: row.nextElementSibling,
    ArrowUp: row.previousElementSibling,
    Home: row.parentElement.firstElementChild,
    End: row.parentElement.lastElementChild,
  }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  next?.firstChild.focus();
  next?.firstChild.click();
}
