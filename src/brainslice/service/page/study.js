// Having an entry judged, and reading what the service says of a volume.

import { askModel, explain, judgeVolume } from "./service.js";
import { picturesOf } from "./viewer.js";

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
