// What a person can do about a scan that has no answer yet: try again, choose a series or a frame, or take its files one by one.

import { element } from "./element.js";
import { number, planeName, say, spoken } from "./words.js";

const CHOICES = new Set(["several_series", "several_volumes"]);

/** Whether a refused entry only waits for somebody to choose. */
export function isOpen({ state, frames, failure }) {
  return state === "refused" && (frames !== null || CHOICES.has(failure.inputProblem?.code));
}

/** Why there is no answer, as text or elements; the service's own words are English, and say so among others. */
export function reasonOf({ key, status, detail, inputProblem }) {
  if (inputProblem !== null) return [say(`input_problem.${inputProblem.code}`, valuesOf(inputProblem))];
  const own = (key === "state.refused" || status === 413) && detail !== null;
  if (!own) return [say(key, { status: status || "?" })];
  return spoken() === "en" ? [detail] : [`${say("problem.foreign")} `, element("span", { lang: "en" }, detail)];
}

function valuesOf({ frames, plane, row, column }) {
  const [tall, wide] = [row, column].map((length) => (length === undefined ? "" : number(length, 1)));
  return { frames, plane: plane === undefined ? "" : planeName(plane), row: tall, column: wide };
}

/** The ways on from an entry without an answer, each a button: {words, kind, asked}, or {words, each} to part its files. */
export function waysOn({ state, kind, files, asked, failure }) {
  const inputProblem = state === "refused" ? failure.inputProblem : null;
  const ways = (inputProblem?.series ?? []).map(({ name, slices, rows, columns, plane }) =>
    ({ words: say("way.series", { name, slices, rows, columns, plane: planeName(plane) }), kind: "volume", asked: { ...asked, series: name } }));
  if (inputProblem?.code === "several_volumes") ways.push({ words: say("way.first"), kind: "volume", asked: { ...asked, first: true } });
  if (state !== "refused") ways.push({ words: say("action.again"), kind, asked });
  if (state === "refused" && files.length > 1) ways.push({ words: say("action.each"), each: true });
  return ways;
}

/** What was chosen of a file, in words. */
export function askedWords({ asked, frames }) {
  return [
    ...(asked.slice === undefined ? [] : [say("asked.slice", { frame: asked.slice, frames })]),
    ...(asked.series === undefined ? [] : [say("asked.series", { name: asked.series })]),
    ...(asked.first === undefined ? [] : [say("asked.first")]),
  ];
}
