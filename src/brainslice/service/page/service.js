// Requests to the service, and their failures.

import { picturesOf } from "./picture.js";

const PATIENCE = 180_000;

let token = null;

/** Keep the token in memory. */
export function useToken(word) {
  token = word;
}

/** A failed request: catalogue key, message of the service, seconds to wait, input problem. */
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

/** Fetch an example scan. */
export async function example(name) {
  const answer = await fetch(`examples/${name}.png`);
  return new File([await answer.blob()], `${name}.png`, { type: "image/png" });
}

/** Predict a scan with images; `asked` may hold the `slice` in the file, from 1. */
function explain(file, asked, signal) {
  const form = new FormData();
  form.append("file", file, file.name);
  return ask(`explain?${new URLSearchParams({ format: "json", ...asked })}`, { method: "POST", body: form, signal });
}

/** Predict the files of a volume; `asked` may hold the `series`, or `first`. */
function requestVolume(files, asked, signal) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  return ask(`volume?${new URLSearchParams(asked)}`, { method: "POST", body: form, signal });
}

/** A slice of a volume with images, by its number from 1, inferior to superior. */
export function slice(volume, number, signal) {
  return ask(`volume/${encodeURIComponent(volume)}/slices/${number}`, { method: "GET", signal });
}

/** Delete a volume from the service; failures are ignored, since it expires. */
export function forget(volume) {
  return ask(`volume/${encodeURIComponent(volume)}`, { method: "DELETE", keepalive: true }).catch(() => null);
}

async function ask(address, options) {
  const sent = token;
  const headers = sent === null ? {} : { Authorization: `Bearer ${sent}` };
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
  // A token entered while this request was on its way has not been tried yet.
  if (answer.status === 401 && token !== sent) return ask(address, options);
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

// Not all supported browsers have AbortSignal.any.
function anyOf(...signals) {
  const both = new AbortController();
  for (const one of signals) {
    if (one.aborted) both.abort(one.reason);
    one.addEventListener("abort", () => both.abort(one.reason), { once: true });
  }
  return both.signal;
}

/** Predict a scan or a volume: {prediction, model} with `pictures`, or with `slices`, `carrying` and `viewer`. */
export async function predict(entry, known, signal) {
  if (entry.kind === "volume") return predictVolume(entry, known, signal);
  try {
    const answer = await explain(entry.files[0], entry.asked, signal);
    return { prediction: answer.prediction, model: answer.model, pictures: await picturesOf(answer) };
  } catch (failure) {
    if (failure.inputProblem?.code !== "several_frames") throw failure;
    entry.frames = failure.inputProblem.frames;
    if (!failure.inputProblem.volume) throw failure;
    return predictFrames(entry, known, signal, failure);
  }
}

/** Predict the frames of a file as a volume if possible, else ask for a frame. */
async function predictFrames(entry, known, signal, failure) {
  try {
    const answer = await predictVolume(entry, known, signal);
    entry.kind = "volume";
    return answer;
  } catch (refusal) {
    throw refusal.inputProblem?.code === "no_series" ? failure : refusal;
  }
}

async function predictVolume(entry, known, signal) {
  const { healthy } = known ?? (await askModel());
  return volumeOf(await requestVolume(entry.files, entry.asked, signal), healthy);
}

/** Slices by index from 0, inferior to superior; null for slices without prediction. */
function volumeOf(answer, healthy) {
  const { viewer, model, ...whole } = answer;
  const slices = Array.from({ length: whole.total_slices }, () => null);
  for (const { slice, probabilities, verdict } of whole.curve) {
    slices[slice - 1] = { probability: 1 - probabilities[healthy], verdict };
  }
  const prediction = { ...whole, prediction_set: [], coverage: null, remarks: [] };
  const numbers = whole.decisive_slices;
  return { prediction, whole, model, viewer, slices, carrying: { first: numbers[0] - 1, last: numbers.at(-1) - 1 } };
}
