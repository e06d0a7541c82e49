// Volumes: the curve, and slices fetched on demand.

import { element, shape, the, write } from "./element.js";
import { picturesOf } from "./picture.js";
import { slice as askSlice } from "./service.js";
import { volumeNotes } from "./verdict.js";
import { percent, say } from "./words.js";

const KEPT = 48, PATIENCE = 150;
const WIDTH = 640, HEIGHT = 150, MARGIN = 8;

export class Scroller {
  /** @param shown Called with a loaded slice {prediction, pictures, predicted}, or a Failure. */
  constructor(shown) {
    Object.assign(this, { shown, entry: null, index: 0, coming: null });
    the("slice").addEventListener("input", () => this.go(Number(the("slice").value) - 1));
    the("curve").addEventListener("click", (event) => this.go(this.under(event)));
    for (const canvas of ["original", "seen"]) {
      the(canvas).addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    }
  }

  /** Show a volume; hide for single images. */
  open(entry) {
    // The images shown belong to another scan.
    this.waiting(entry !== null && entry !== this.entry);
    this.entry = entry;
    for (const id of ["scroller", "volume-part"]) the(id).hidden = entry === null;
    this.coming = null;
    if (entry === null) return;
    entry.seen ??= new Map();
    entry.index ??= this.strongest(entry.answer);
    the("slice").max = entry.answer.slices.length;
    this.sayAgain();
    this.go(entry.index);
  }

  /** The decisive slice with the highest P(tumour). */
  strongest({ slices, carrying }) {
    let best = carrying.first;
    for (let index = carrying.first; index <= carrying.last; index += 1) {
      if ((slices[index]?.probability ?? 0) > (slices[best]?.probability ?? 0)) best = index;
    }
    return best;
  }

  sayAgain() {
    if (this.entry === null) return;
    const { answer } = this.entry;
    const best = this.strongest(answer);
    const highest = { slices: answer.slices.length, slice: best + 1, probability: percent(answer.slices[best].probability) };
    write(the("curve-words"), say("volume.curve"));
    the("carrying").replaceChildren(
      element("span", {}, say("volume.carrying.title", { first: answer.carrying.first + 1, last: answer.carrying.last + 1 })),
      element("button", { type: "button", onclick: () => this.go(best) }, say("volume.carrying", { slice: best + 1 })));
    the("curve").setAttribute("aria-label", say("volume.curve.words", highest));
    the("volume-notes").replaceChildren(...volumeNotes(answer.whole).map((note) => element("li", {}, note)));
    this.draw();
  }

  wheel(event) {
    if (this.entry === null || event.ctrlKey || event.deltaY === 0) return;
    event.preventDefault();
    this.go(this.index + Math.sign(event.deltaY));
  }

  under(event) {
    const box = the("curve").getBoundingClientRect();
    return Math.floor(((event.clientX - box.left) / box.width) * this.entry.answer.slices.length);
  }

  /** Go to a slice; `coming` settles when its images are loaded. */
  go(wanted) {
    const { entry } = this;
    const index = Math.min(Math.max(wanted, 0), entry.answer.slices.length - 1);
    this.index = entry.index = index;
    the("slice").value = index + 1;
    this.draw();
    this.coming = this.show(entry, index);
  }

  /** Show a slice when loaded, and prefetch its neighbours. */
  async show(entry, index) {
    // Hide the old image soon, so that it is not taken for the new slice.
    const late = setTimeout(() => this.waiting(true), PATIENCE);
    const found = await this.fetch(entry, index).catch((failure) => failure);
    clearTimeout(late);
    if (this.entry !== entry || this.index !== index) return;
    this.waiting(false);
    this.shown(found);
    for (const near of [index + 1, index - 1, index + 2, index - 2]) {
      if (near >= 0 && near < entry.answer.slices.length) this.fetch(entry, near).catch(() => null);
    }
  }

  waiting(is) {
    the("pictures").setAttribute("aria-busy", String(is));
  }

  fetch(entry, index) {
    // Another prediction of this volume gets a map of its own.
    const { seen } = entry;
    if (!seen.has(index)) {
      const predicted = entry.answer.slices[index] !== null;
      const coming = askSlice(entry.answer.viewer.id, index + 1)
        .then(async (answer) => ({ predicted, prediction: answer.prediction, pictures: await picturesOf(answer) }));
      seen.set(index, coming);
      coming.catch(() => seen.delete(index));
      // Remove the oldest to limit the memory.
      if (seen.size > KEPT) seen.delete(seen.keys().next().value);
    }
    return seen.get(index);
  }

  draw() {
    const { answer } = this.entry;
    const words = sliceWords(answer.slices, this.index);
    write(the("slice-label"), words);
    the("slice").setAttribute("aria-valuetext", words);
    drawCurve(the("curve"), answer, this.index);
  }
}

function sliceWords(slices, index) {
  const place = { slice: index + 1, slices: slices.length };
  const found = slices[index];
  if (found === null) return say("volume.none", place);
  const key = found.verdict === "refer" ? "volume.referred" : "volume.slice";
  return say(key, { ...place, probability: percent(found.probability) });
}

/** Draw the slices of `answer` into an SVG of 640 by 150, with a line at slice `here`. */
function drawCurve(drawing, { slices, carrying, prediction }, here) {
  const step = WIDTH / slices.length;
  const x = (index) => (index + 0.5) * step;
  const y = (share) => HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN);
  const across = (share, name) => shape("path", { d: `M0 ${y(share)}H${WIDTH}`, class: name });
  let line = "", points = 0;
  slices.forEach((slice, index) => {
    if (slice === null) return;
    // Draw an isolated point as a short line.
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
