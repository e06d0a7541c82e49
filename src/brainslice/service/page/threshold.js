// Measured rates by threshold, from the service.

import { element, the, write } from "./element.js";
import { knows, number, percent, say, share } from "./words.js";

/** The measured thresholds in rising order: of the curve, or else of the operating points. */
function measuredPoints(model) {
  const points = model.operating_curve?.points ?? model.operating_points ?? [];
  return [...points].sort((one, other) => one.threshold - other.threshold);
}

/** The last measured point not above a threshold. */
function placeOf(points, threshold) {
  const above = points.findIndex((point) => point.threshold > threshold);
  return above === -1 ? points.length - 1 : Math.max(above - 1, 0);
}

export class Threshold {
  constructor() {
    this.points = [];
    the("threshold").addEventListener("input", () => this.draw());
  }

  /** Show the points of a model; the slider starts at its threshold. */
  use(model) {
    this.model = model;
    this.points = measuredPoints(model);
    const slider = the("threshold");
    slider.max = Math.max(this.points.length - 1, 0);
    slider.value = placeOf(this.points, model.threshold);
    this.sayAgain();
  }

  /** Compare a probability with the selected threshold; null for none. */
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
    const whole = curve && say("threshold.words", { n: number(curve.tumours + curve.healthy), where: whereWords(curve.measured_on) });
    write(the("threshold-words"), whole ?? say("threshold.points"));
    const own = { name: say("threshold.own", { threshold: number(this.model.threshold, 2) }), threshold: this.model.threshold };
    const named = this.model.operating_points.map((point) => ({ name: pointName(point), threshold: point.threshold }));
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
    the("threshold").setAttribute("aria-valuetext", `${words}; ${this.rateWords("sensitivity", point)}; ${this.rateWords("specificity", point)}`);
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
    const parts = [element("span", { class: "figure" }, share(value)), track, element("span", { class: "note" }, this.interval(point[name]))];
    return row(say(`threshold.${name}`), parts, name);
  }

  rateWords(name, point) {
    return `${say(`threshold.${name}`)} ${share(point[name].value)}, ${this.interval(point[name])}`;
  }

  /** An interval with its confidence level, or that of its curve. */
  interval({ low, high, level = this.model.operating_curve?.level }) {
    return say("threshold.interval", { low: share(low), high: share(high), level: share(level) });
  }
}

const WHERE = {
  "where.plain": /^validation$/,
  "where.validation": /^(?<name>.*), validation scans of the (?<protocol>\w+) protocol, which (?:also selected the weights|chose the weights too) \((?<use>.*)\)$/,
  "where.groups": /^(?<name>.*), (?<groups>[\d,]+) groups of scans \((?<use>.*)\)$/,
};

/** The description of the measured scans, translated if known. */
function whereWords(text) {
  for (const [key, pattern] of Object.entries(WHERE)) {
    const values = pattern.exec(text)?.groups ?? (pattern.test(text) ? {} : null);
    if (values === null) continue;
    const protocol = values.protocol === undefined ? "" : say(`protocol.name.${values.protocol}`);
    return say(key, { ...values, protocol, use: say(/^(which selected|they chose) the threshold$/.test(values.use) ? "where.chose" : "where.held_out") });
  }
  return text;
}

/** The target of an operating point, or its name. */
function pointName({ name, criterion, value = null, guarantee = null }) {
  if (!knows(`point.${criterion}`)) return name;
  const words = say(`point.${criterion}`, { value: criterion === "cost ratio" ? value : share(value) });
  return guarantee === null ? words : say("point.guaranteed", { words, confidence: share(guarantee.confidence) });
}

function row(words, parts, name) {
  return element("div", { class: "rate", "data-rate": name }, element("dt", {}, words), element("dd", {}, ...parts));
}
