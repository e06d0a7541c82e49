// Information about the model.

import { element, the, write } from "./element.js";
import { className, day, number, say, share } from "./words.js";

/** The model line at the top of the page. */
export function modelLine(model) {
  return `${model.name} · ${model.digest.slice(0, 12)} · brainslice ${model.version}`;
}

function scans(images, groups) {
  return say("card.scans", { images: number(images), groups: number(groups) });
}

function protocol(name) {
  return say(`protocol.${name}`);
}

/** A score with its interval, and what it was measured on. */
function measured({ value, interval, n, groups }, format) {
  const range = interval ? ` [${format(interval.low)}, ${format(interval.high)}]` : "";
  return { value: format(value) + range, n: number(n), groups: number(groups) };
}

/** The results of tests in which pictures with and without lesion come from the same source. */
function sourceControlled(test) {
  const said = (test?.source_controlled ?? []).map(({ name, scores }) => {
    const { lesion_twin_scores_higher: twins, auc_within_patients: within } = scores;
    if (twins) return say("card.twins", measured(twins, share));
    return within ? say("card.slices", { name, ...measured(within, (value) => number(value, 2)) }) : null;
  });
  return said.filter((line) => line !== null);
}

function facts(model) {
  const from = model.provenance;
  const imported = from.training_recipe === "imported";
  const controlled = sourceControlled(model.test);
  const accuracy = model.test?.scores?.accuracy;
  return [
    ["controlled", controlled.length > 0 ? controlled.join("; ") : say("card.untested")],
    ["name", model.name],
    ["digest", model.digest],
    ["created", day(model.created)],
    ["version", model.version],
    ["classes", model.classes.map(className).join(", ")],
    ["backbone", model.backbone],
    ["dataset", imported ? say("card.elsewhere") : from.dataset],
    ["protocol", protocol(from.protocol)],
    ...(imported ? [] : [["train", scans(from.train_images, from.train_groups)]]),
    ["validation", scans(from.validation_images, from.validation_groups)],
    ["accuracy", `${share(model.validation.accuracy)}, n = ${number(model.validation.n)}`],
    ...(accuracy ? [["test", say("card.tested", measured(accuracy, share))]] : []),
    ["threshold", number(model.threshold, 2)],
  ];
}

export function showModel(model) {
  write(the("model"), modelLine(model));
  the("model").title = model.digest;
  the("facts").replaceChildren(...facts(model).map(([key, value]) =>
    element("div", {}, element("dt", {}, say(`card.${key}`)), element("dd", {}, value))));
  the("card").hidden = false;
}
