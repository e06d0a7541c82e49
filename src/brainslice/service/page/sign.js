// Shapes that stand for verdicts, so that no meaning rests on colour alone.

import { shape } from "./element.js";

const SHAPES = {
  tumour: ["path", { d: "M8 1.5 14.5 8 8 14.5 1.5 8Z", fill: "currentColor" }],
  "no tumour": ["circle", { cx: 8, cy: 8, r: 5.5, fill: "none", stroke: "currentColor", "stroke-width": 2.2 }],
  refer: ["path", { d: "M8 2 15 14H1Z", fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-linejoin": "round" }],
  none: ["path", { d: "M3 8h10", stroke: "currentColor", "stroke-width": 2.2 }],
  waiting: ["path", { d: "M4 8h.01M8 8h.01M12 8h.01", stroke: "currentColor", "stroke-width": 2.4, "stroke-linecap": "round" }],
};

/** The shape that stands for a verdict or a state, for eyes alone. */
export function sign(kind) {
  const [name, attributes] = SHAPES[kind] ?? SHAPES.none;
  return shape("svg", { viewBox: "0 0 16 16", class: "sign", "aria-hidden": "true" }, shape(name, attributes));
}
