// Having an entry judged, and reading what the service says of a volume.

import { askModel, explain, judgeVolume } from "./service.js";
import { picturesOf } from "./viewer.js";

/** Judge a scan or a volume: {prediction, model} with `pictures`, or with `slices`, `carrying` and `viewer`. */
export async function judge(entry, known, signal) {
  if (entry.kind === "volume") {
    const { healthy } = known ?? (await askModel());
    return volumeOf(await judgeVolume(entry.files, signal), healthy);
  }
  const answer = await explain(entry.files[0], signal);
  return { prediction: answer.prediction, model: answer.model, pictures: await picturesOf(answer) };
}

/** Slices are counted from 0, inferior to superior; those that show no head were not judged, and are null here. */
function volumeOf(answer, healthy) {
  const { viewer, model, ...whole } = answer;
  const slices = Array.from({ length: whole.total_slices }, () => null);
  for (const { slice, probabilities, verdict } of whole.curve) {
    slices[slice - 1] = { probability: 1 - probabilities[healthy], verdict };
  }
  const prediction = { ...whole, prediction_set: [], coverage: null };
  const numbers = whole.carrying_slices;
  return { prediction, whole, model, viewer, slices, carrying: { first: numbers[0] - 1, last: numbers.at(-1) - 1 } };
}
