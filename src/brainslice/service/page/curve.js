// The probability of a tumour over the slices of a volume, as a line that breaks where slices were not judged.

import { shape } from "./element.js";

const WIDTH = 640, HEIGHT = 150, MARGIN = 8;

/** Draw the slices of `answer` into an SVG of 640 by 150, with a line at slice `here`. */
export function drawCurve(drawing, { slices, carrying, prediction }, here) {
  const step = WIDTH / slices.length;
  const x = (index) => (index + 0.5) * step;
  const y = (share) => HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN);
  const across = (share, name) => shape("path", { d: `M0 ${y(share)}H${WIDTH}`, class: name });
  let line = "", points = 0;
  slices.forEach((slice, index) => {
    if (slice === null) return;
    // A point with nothing on either side is drawn as a short stroke.
    const goes = index > 0 && slices[index - 1] !== null ? "L" : `M${(x(index) - step / 4).toFixed(1)} ${y(slice.probability).toFixed(1)}L`;
    line += `${goes}${x(index).toFixed(1)} ${y(slice.probability).toFixed(1)}`;
    points += 1;
  });
  const width = (carrying.last - carrying.first + 1) * step;
  drawing.replaceChildren(
    shape("rect", { x: carrying.first * step, y: 0, width, height: HEIGHT, class: "carrying" }),
    across(0, "axis"), across(1, "axis"), across(prediction.threshold, "limit"),
    shape("path", { d: line, class: "line", "data-points": points }),
    shape("path", { d: `M${x(here)} 0V${HEIGHT}`, class: "here" }));
}
