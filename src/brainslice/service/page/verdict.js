// The result: warnings, verdict with reasons, probabilities and prediction set.

import { element, sign } from "./element.js";
import { className, either, knows, number, percent, planeName, say } from "./words.js";

/** Reasons that reject the input: no class is shown. */
export const OUTSIDE = new Set(["flat", "no_background", "no_head", "out_of_distribution"]);

export function verdictOf(entry) {
  return entry.answer?.prediction.verdict ?? "none";
}

export function isOutside(prediction) {
  return prediction.reasons.some(({ code }) => OUTSIDE.has(code));
}

/** A reason, translated if known. */
export function reasonWords({ code, message }) {
  return knows(`reason.${code}`) ? say(`reason.${code}`) : message;
}

function markWords(mark) {
  return knows(`mark.${mark}`) ? say(`mark.${mark}`) : say("mark.other", { mark });
}

/** The warnings above the verdict. */
export function warningWords(prediction) {
  const outside = isOutside(prediction) ? [say("warning.outside")] : [];
  return [...outside, ...prediction.warnings.map(markWords), ...(prediction.remarks ?? []).map(remarkWords)];
}

/** The sentences of the verdict. */
export function verdictWords(prediction, isVolume = false) {
  const values = {
    probability: percent(prediction.tumour_probability ?? 0),
    threshold: percent(prediction.threshold),
    class: prediction.class === null ? "" : className(prediction.class),
  };
  if (prediction.verdict !== "refer") {
    return [say(`verdict.${isVolume ? "volume." : ""}${prediction.verdict}.words`, values)];
  }
  if (isOutside(prediction)) return [say("verdict.refer.words"), say("verdict.outside.words")];
  // Without a healthy class there is no probability of a tumour.
  return [say("verdict.refer.words"), ...(prediction.tumour_probability === null ? [] : [say("verdict.refer.lean", values)])];
}

export function showWarnings(node, prediction) {
  node.replaceChildren(...warningWords(prediction).map((words, place) => {
    const outside = place === 0 && isOutside(prediction);
    return element("p", { class: outside ? "warning grave" : "warning" }, sign("refer"), element("span", {}, words));
  }));
}

export function showVerdict(node, prediction, isVolume) {
  const parts = [
    element("p", { class: "verdict-word" }, sign(prediction.verdict), element("strong", {}, say(`verdict.${prediction.verdict}`))),
    ...verdictWords(prediction, isVolume).map((words) => element("p", {}, words)),
  ];
  if (prediction.reasons.length > 0) {
    parts.push(element("p", { class: "why" }, say("verdict.why")));
    parts.push(element("ul", {}, ...prediction.reasons.map((reason) => element("li", {}, reasonWords(reason)))));
  }
  node.dataset.verdict = prediction.verdict;
  node.replaceChildren(...parts);
}

/** Bars of the classes, and of any tumour with the threshold. */
export function showBars(node, prediction) {
  const classes = Object.entries(prediction.probabilities);
  const rows = classes.map(([name, share]) => bar(className(name), share, { possible: prediction.prediction_set.includes(name) }));
  if (prediction.tumour_probability !== null) {
    rows.push(bar(say("bars.tumour"), prediction.tumour_probability, { threshold: prediction.threshold }));
  }
  node.replaceChildren(...rows);
}

function bar(words, share, { possible = false, threshold = null }) {
  const fill = element("span", { class: "fill" });
  fill.style.setProperty("inline-size", `${100 * share}%`);
  const track = element("span", { class: "track", "aria-hidden": "true" }, fill);
  if (threshold !== null) {
    const tick = element("span", { class: "mark-line" });
    tick.style.setProperty("inset-inline-start", `${100 * threshold}%`);
    track.append(tick);
  }
  const kind = ["bar", possible ? "possible" : "", threshold === null ? "" : "total"].join(" ").trim();
  return element("div", { class: kind },
    element("dt", {}, words), element("dd", {}, track, element("span", { class: "figure" }, percent(share))));
}

/** The prediction set with its coverage. */
export function setWords(prediction) {
  if (prediction.coverage === null || prediction.coverage === undefined) return [say("set.none")];
  const coverage = percent(prediction.coverage);
  const possible = prediction.prediction_set.map(className);
  const first = possible.length > 0 ? say("set.words", { coverage, classes: either(possible) }) : say("set.empty", { coverage });
  return [first, say("set.meaning", { coverage })];
}

/** The notes of a volume, translated if known. */
export function volumeNotes({ remarks }) {
  return [say("volume.single"), ...remarks.map(remarkWords)];
}

function remarkWords({ code, message, value }) {
  return knows(`note.${code}`) ? say(`note.${code}`, { value: code === "plane" ? planeName(value) : value }) : message;
}

export function doubtWords(prediction) {
  return ["ood_score", "mutual_information"]
    .filter((name) => typeof prediction[name] === "number")
    .map((name) => say(`doubt.${name}`, { value: number(prediction[name], 2) }));
}
