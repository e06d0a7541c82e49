// All requests to the service, and the one kind of failure they can end in.

import { picturesOf } from "./picture.js";

const PATIENCE = 180_000;

let token = null;

/** Keep the token in memory, for as long as the page is open. */
export function useToken(word) {
  token = word;
}

/** Why there is no answer: a key of the catalogue, and what the service said: its sentence, how long to wait, another way on. */
export class Failure extends Error {
  constructor(key, { detail = null, status = 0, code = null, wait = null, inputProblem = null } = {}) {
    super(detail ?? key);
    this.name = "Failure";
    Object.assign(this, { key, detail, status, code, wait, inputProblem });
  }
}

export function askModel() {
  return ask("model", { method: "GET" });
}

/** Fetch one of the drawn examples as a file. */
export async function example(name) {
  const answer = await fetch(`examples/${name}.png`);
  return new File([await answer.blob()], `${name}.png`, { type: "image/png" });
}

/** Have one picture judged, and get what the model saw of it; `asked` may hold its `slice` in the file, from 1. */
function explain(file, asked, signal) {
  const form = new FormData();
  form.append("file", file, file.name);
  return ask(`explain?${new URLSearchParams({ format: "json", ...asked })}`, { method: "POST", body: form, signal });
}

/** Have the files of one volume judged together; `asked` may hold which `series`, and whether the `first` of each place will do. */
function judgeVolume(files, asked, signal) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  return ask(`volume?${new URLSearchParams(asked)}`, { method: "POST", body: form, signal });
}

/** One slice of a volume with its pictures, by its number from 1, inferior to superior. */
export function slice(volume, number, signal) {
  return ask(`volume/${encodeURIComponent(volume)}/slices/${number}`, { method: "GET", signal });
}

/** Have the service forget a volume; whether it hears that does not matter, for it forgets by itself. */
export function forget(volume) {
  return ask(`volume/${encodeURIComponent(volume)}`, { method: "DELETE", keepalive: true }).catch(() => null);
}

async function ask(address, options) {
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const late = AbortSignal.timeout(PATIENCE);
  const signal = options.signal ? anyOf(options.signal, late) : late;
  let answer;
  try {
    answer = await fetch(address, { ...options, headers, signal, cache: "no-store", credentials: "omit" });
    if (answer.ok) return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (options.signal?.aborted) throw new Failure("state.cancelled");
    throw new Failure(late.aborted || error.name === "TimeoutError" ? "problem.time" : "problem.gone");
  }
  throw await failureOf(answer);
}

async function failureOf(answer) {
  const said = await answer.json().catch(() => ({}));
  const detail = typeof said.detail === "string" ? said.detail : null;
  const seconds = Number.parseInt(answer.headers.get("Retry-After") ?? "", 10);
  const wait = Number.isFinite(seconds) ? Math.max(seconds, 1) : null;
  const { code = null, input_problem: inputProblem = null } = said;
  return new Failure(keyOf(answer.status), { detail, status: answer.status, code, wait, inputProblem });
}

function keyOf(status) {
  if (status === 401) return "problem.token";
  if (status === 413) return "problem.large";
  if (status === 422 || status === 415) return "state.refused";
  if (status === 429) return "problem.busy";
  return status === 503 ? "problem.stopped" : "problem.other";
}

// AbortSignal.any is younger than some browsers still in use.
function anyOf(...signals) {
  const both = new AbortController();
  for (const one of signals) {
    if (one.aborted) both.abort(one.reason);
    one.addEventListener("abort", () => both.abort(one.reason), { once: true });
  }
  return both.signal;
}

/** Judge a scan or a volume: {prediction, model} with `pictures`, or with `slices`, `carrying` and `viewer`. */
export async function judge(entry, known, signal) {
  if (entry.kind === "volume") return judgeWhole(entry, known, signal);
  try {
    const answer = await explain(entry.files[0], entry.asked, signal);
    return { prediction: answer.prediction, model: answer.model, pictures: await picturesOf(answer) };
  } catch (failure) {
    if (failure.inputProblem?.code !== "several_frames") throw failure;
    entry.frames = failure.inputProblem.frames;
    if (!failure.inputProblem.volume) throw failure;
    return judgeFrames(entry, known, signal, failure);
  }
}

/** The frames of one file together, where they are a volume; a person chooses one of them where they are none. */
async function judgeFrames(entry, known, signal, failure) {
  try {
    const answer = await judgeWhole(entry, known, signal);
    entry.kind = "volume";
    return answer;
  } catch (refusal) {
    throw refusal.inputProblem?.code === "no_series" ? failure : refusal;
  }
}

async function judgeWhole(entry, known, signal) {
  const { healthy } = known ?? (await askModel());
  return volumeOf(await judgeVolume(entry.files, entry.asked, signal), healthy);
}

/** Slices are counted from 0, inferior to superior; those that show no head were not judged, and are null here. */
function volumeOf(answer, healthy) {
  const { viewer, model, ...whole } = answer;
  const slices = Array.from({ length: whole.total_slices }, () => null);
  for (const { slice, probabilities, verdict } of whole.curve) {
    slices[slice - 1] = { probability: 1 - probabilities[healthy], verdict };
  }
  const prediction = { ...whole, prediction_set: [], coverage: null };
  const numbers = whole.decisive_slices;
  return { prediction, whole, model, viewer, slices, carrying: { first: numbers[0] - 1, last: numbers.at(-1) - 1 } };
}
