// The list of scans, a button each with result text and icon.

import { element, sign, write } from "./element.js";
import { thumbnail } from "./picture.js";
import { verdictOf } from "./verdict.js";
import { className, number, percent, planeName, say, spoken } from "./words.js";

const order = { sort: "added", filter: "all" };

const SORTS = {
  added: () => 0,
  name: (one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }),
  probability: (one, other) => probabilityOf(other) - probabilityOf(one),
};

/** Call `changed` when sort order or filter change. */
export function watchList({ sort, filter }, changed) {
  for (const [name, field] of Object.entries({ sort, filter })) {
    field.addEventListener("input", () => { order[name] = field.value; changed(); });
  }
}

/** Offer the verdicts that the model gives: a class alone where none of its classes is healthy. */
export function offerVerdicts(filter, { healthy }) {
  const given = { tumour: healthy !== null, "no tumour": healthy !== null, class: healthy === null };
  for (const option of filter.options) option.hidden = given[option.value] === false;
}

function probabilityOf({ state, answer }) {
  return state === "done" ? answer.prediction.tumour_probability ?? 0 : -1;
}

/** Return the filtered and sorted entries. */
function arranged(entries) {
  return entries.filter((entry) => order.filter === "all" || signOf(entry) === order.filter).sort(SORTS[order.sort]);
}

/**
 * Render the entries in `list`, reusing buttons to keep the focus.
 * @param select Called with the selected entry, and whether by click or key rather than by arrow keys.
 */
export function showList(list, entries, selected, select) {
  const shown = arranged(entries);
  const rows = shown.map((entry) => {
    entry.row ??= makeRow(entry, select);
    fillRow(entry, entry === selected);
    return entry.row;
  });
  if (rows.length !== list.children.length || rows.some((row, place) => list.children[place] !== row)) {
    list.replaceChildren(...rows);
  }
  const stop = shown.includes(selected) ? selected : shown[0];
  for (const entry of shown) entry.row.firstChild.tabIndex = entry === stop ? 0 : -1;
}

function makeRow(entry, select) {
  const button = element("button", { type: "button", onclick: (event) => select(entry, event.isTrusted), onkeydown: moveFocus },
    element("canvas", { class: "list-picture", width: 44, height: 44, "aria-hidden": "true" }), element("span", { class: "list-sign" }),
    element("span", { class: "list-name" }), element("span", { class: "list-state" }), element("span", { class: "list-class" }));
  return element("li", {}, button);
}

function fillRow(entry, current) {
  const [picture, mark, name, state, kind] = entry.row.firstChild.children;
  const found = signOf(entry);
  if (entry.row.dataset.found !== found) {
    entry.row.dataset.found = found;
    mark.replaceChildren(sign(found));
  }
  picture.classList.toggle("blank", !entry.picture);
  if (entry.picture && entry.picture !== entry.drawn) {
    entry.drawn = entry.picture;
    thumbnail(picture, entry.picture);
  }
  write(name, entry.name);
  write(kind, classWords(entry));
  write(state, stateWords(entry));
  if (current) entry.row.firstChild.setAttribute("aria-current", "true");
  else entry.row.firstChild.removeAttribute("aria-current");
}

function signOf(entry) {
  if (entry.state === "done") return verdictOf(entry);
  return (entry.state === "refused" && !isOpen(entry)) || entry.state === "failed" ? "none" : "waiting";
}

/** The class of an entry predicted as a tumour, or without a decision. */
function classWords({ state, answer }) {
  if (state !== "done" || !["tumour", "class"].includes(answer.prediction.verdict)) return "";
  if (answer.prediction.verdict === "class") return className(answer.prediction.class);
  return `${className(answer.prediction.class)} · ${percent(answer.prediction.tumour_probability)}`;
}

/** The state of an entry as text. */
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

const CHOICES = new Set(["several_series", "several_volumes"]);

/** Whether a refused entry needs a choice. */
export function isOpen({ state, frames, failure }) {
  return state === "refused" && (frames !== null || CHOICES.has(failure.inputProblem?.code));
}

/** The reason of a refusal as text or elements; messages of the service are marked as English. */
export function reasonOf({ key, status, detail, inputProblem }) {
  if (inputProblem !== null) return [say(`input_problem.${inputProblem.code}`, valuesOf(inputProblem))];
  const own = (key === "state.refused" || status === 413) && detail !== null;
  if (!own) return [say(key, { status: status || "?" })];
  if (spoken() === "en") return [detail];
  const gist = say(status === 413 ? "problem.large" : "problem.unreadable");
  return [`${gist} ${say("problem.foreign")} `, element("span", { lang: "en" }, detail)];
}

function valuesOf({ frames, plane, row, column }) {
  const [tall, wide] = [row, column].map((length) => (length === undefined ? "" : number(length, 1)));
  return { frames, plane: plane === undefined ? "" : planeName(plane), row: tall, column: wide };
}

/** The choices for a refused entry, a button each: {words, kind, asked}, or {words, each} to split its files. */
export function waysOn({ state, kind, files, asked, failure }) {
  const inputProblem = state === "refused" ? failure.inputProblem : null;
  const ways = (inputProblem?.series ?? []).map(({ name, slices, rows, columns, plane }) =>
    ({ words: say("way.series", { name, slices, rows, columns, plane: planeName(plane) }), kind: "volume", asked: { ...asked, series: name } }));
  if (inputProblem?.code === "several_volumes") ways.push({ words: say("way.first"), kind: "volume", asked: { ...asked, first: true } });
  if (state !== "refused") ways.push({ words: say("action.again"), kind, asked });
  if (state === "refused" && files.length > 1) ways.push({ words: say("action.each"), each: true });
  return ways;
}

/** The choice for a file as text. */
export function askedWords({ asked, frames }) {
  return [
    ...(asked.slice === undefined ? [] : [say("asked.slice", { frame: asked.slice, frames })]),
    ...(asked.series === undefined ? [] : [say("asked.series", { name: asked.series })]),
    ...(asked.first === undefined ? [] : [say("asked.first")]),
  ];
}
