// What each threshold was measured to give. Every figure comes from the service; nothing is computed here but places on a line.

import { element, the, write } from "./element.js";
import { number, percent, say, share } from "./words.js";

/** The thresholds that were measured: the whole curve where there is one, else the named points, in rising order. */
export function measuredPoints(model) {
  const points = model.operating_curve?.points ?? model.operating_points ?? [];
  return [...points].sort((one, other) => one.threshold - other.threshold);
}

/** The measured point that holds at a threshold: the last that is not above it. */
export function placeOf(points, threshold) {
  const above = points.findIndex((point) => point.threshold > threshold);
  return above === -1 ? points.length - 1 : Math.max(above - 1, 0);
}

export class Threshold {
  constructor() {
    this.points = [];
    the("threshold").addEventListener("input", () => this.draw());
  }

  /** Take the points of a model; the slider starts where the threshold in use lies. */
  use(model) {
    this.model = model;
    this.points = measuredPoints(model);
    const slider = the("threshold");
    slider.max = Math.max(this.points.length - 1, 0);
    slider.value = placeOf(this.points, model.threshold);
    this.sayAgain();
  }

  /** Hold a probability against the threshold chosen; null where none is to be shown. */
  show(probability) {
    this.probability = probability;
    this.draw();
  }

  sayAgain() {
    if (this.points.length === 0) {
      write(the("threshold-words"), say("threshold.none"));
      the("threshold-tools").hidden = true;
      return;
    }
    the("threshold-tools").hidden = false;
    const curve = this.model.operating_curve;
    const whole = curve && say("threshold.words", { n: number(curve.tumours + curve.healthy) });
    write(the("threshold-words"), whole ?? say("threshold.points"));
    const own = { name: say("threshold.own", { threshold: number(this.model.threshold, 2) }), threshold: this.model.threshold };
    const named = this.model.operating_points.map(({ name, threshold }) => ({ name, threshold }));
    the("points").replaceChildren(...[own, ...named].map(({ name, threshold }) =>
      element("button", { type: "button", onclick: () => this.jump(threshold) }, name)));
    this.draw();
  }

  jump(threshold) {
    the("threshold").value = placeOf(this.points, threshold);
    this.draw();
  }

  draw() {
    const point = this.points[Number(the("threshold").value)];
    if (point === undefined) return;
    const words = say("threshold.value", { threshold: number(point.threshold, 2) });
    the("threshold").setAttribute("aria-valuetext", `${words}; ${rateWords("sensitivity", point)}; ${rateWords("specificity", point)}`);
    write(the("threshold-value"), words);
    the("rates").replaceChildren(...["sensitivity", "specificity"].map((name) => this.rate(name, point)));
    if (this.probability === null || this.probability === undefined) write(the("threshold-meaning"), "");
    else {
      const side = this.probability >= point.threshold ? "above" : "below";
      write(the("threshold-meaning"), say(`threshold.${side}`, { probability: percent(this.probability) }));
    }
  }

  rate(name, point) {
    const { value, low, high } = point[name];
    const span = element("span", { class: "interval" }), dot = element("span", { class: "dot" });
    span.style.setProperty("inset-inline-start", `${100 * low}%`);
    span.style.setProperty("inline-size", `${100 * (high - low)}%`);
    dot.style.setProperty("inset-inline-start", `${100 * value}%`);
    const track = element("span", { class: "track", "aria-hidden": "true" }, span, dot);
    return row(say(`threshold.${name}`), [track, element("span", { class: "figure" }, figure(point[name]))], name);
  }
}

function rateWords(name, point) {
  return `${say(`threshold.${name}`)} ${figure(point[name])}`;
}

function figure({ value, low, high }) {
  return say("threshold.rate", { value: share(value), low: share(low), high: share(high) });
}

function row(words, parts, name) {
  return element("div", { class: "rate", "data-rate": name }, element("dt", {}, words), element("dd", {}, ...parts));
}
