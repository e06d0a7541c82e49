// Export of a result as JSON, PNG or HTML, with the research-use line and the model.

import { element, the } from "./element.js";
import { modelLine } from "./card.js";
import { askedWords } from "./list.js";
import { pngOf } from "./picture.js";
import { doubtWords, isOutside, reasonWords, setWords, verdictWords, volumeNotes, warningWords } from "./verdict.js";
import { className, percent, say, spoken } from "./words.js";

const PANEL = 512, MARGIN = 24, LINE = 26, FONT = "17px system-ui, sans-serif";
const STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#15191e;background:#fff}"
  + "img{background:#000;max-width:30rem;width:48%}.research{border:1px solid #7a4a00;padding:.5rem .75rem}"
  + "table{border-collapse:collapse}th,td{text-align:start;padding:.2rem 1.5rem .2rem 0;border-bottom:1px solid #ccd2d8;font-variant-numeric:tabular-nums}"
  + "code{overflow-wrap:anywhere}@media print{body{margin:0}}";

function researchLine() {
  return `${say("research.short")} ${say("research.long")}`;
}

/** The response of the service, without images and volume id. */
export function asJson(entry, model) {
  const result = entry.kind === "volume" ? entry.answer.whole : entry.answer.prediction;
  const about = { name: model?.name ?? null, digest: entry.answer.model, version: model?.version ?? null };
  const asked = Object.keys(entry.asked).length > 0 ? entry.asked : undefined;
  const saved = { schema: "brainslice/page-result/1", research_use_only: researchLine(), model: about, asked, result };
  return new Blob([`${JSON.stringify(saved, null, 2)}\n`], { type: "application/json" });
}

/** Draw both images as shown, with text; without the file name, which may name a patient. */
export function asPicture(entry, model) {
  const canvas = element("canvas", { width: 2 * PANEL + 3 * MARGIN });
  const pen = canvas.getContext("2d");
  pen.font = FONT;
  const words = linesOf(entry, model).flatMap((line) => wrapped(pen, line, canvas.width - 2 * MARGIN));
  // Resizing a canvas resets its font.
  canvas.height = PANEL + 2 * MARGIN + LINE * (words.length + 0.5);
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  ["original", "seen"].forEach((id, place) => fit(pen, the(id), MARGIN + place * (PANEL + MARGIN), MARGIN));
  pen.fillStyle = "#e6eaef";
  pen.font = FONT;
  words.forEach((line, place) => pen.fillText(line, MARGIN, PANEL + 2 * MARGIN + LINE * (place + 0.6)));
  // Encoded at once: toBlob waits until the browser has nothing else to do, up to seven seconds.
  return pngOf(canvas.toDataURL("image/png"));
}

/** Wrap text to a width, also within words. */
function wrapped(pen, line, width) {
  const fits = (text) => pen.measureText(text).width <= width;
  const lines = [""];
  for (const word of line.split(" ")) {
    const longer = lines.at(-1) === "" ? word : `${lines.at(-1)} ${word}`;
    if (fits(longer)) {
      lines[lines.length - 1] = longer;
      continue;
    }
    if (lines.at(-1) !== "") lines.push("");
    for (const letter of word) {
      if (!fits(lines.at(-1) + letter)) lines.push("");
      lines[lines.length - 1] += letter;
    }
  }
  return lines;
}

function fit(pen, picture, left, top) {
  const scale = PANEL / Math.max(picture.width, picture.height);
  const width = picture.width * scale, height = picture.height * scale;
  pen.drawImage(picture, left + (PANEL - width) / 2, top + (PANEL - height) / 2, width, height);
}

function volumeWords(entry) {
  return [the("slice-label").textContent, ...volumeNotes(entry.answer.whole)];
}

function linesOf(entry, model) {
  const { prediction } = entry.answer;
  const verdict = [`${say(`verdict.${prediction.verdict}`)}.`, ...verdictWords(prediction, entry.kind === "volume"), ...prediction.reasons.map(reasonWords)];
  const lines = [...warningWords(prediction), verdict.join(" "), ...askedWords(entry)];
  if (entry.kind === "volume") lines.push(...volumeWords(entry));
  if (!isOutside(prediction)) lines.push(`${say("map.class")} ${className(the("map-class").value)}: ${say("map.caption")}`);
  lines.push(model === null ? "" : modelLine(model), `${say("export.digest")}: ${entry.answer.model}`, researchLine());
  return lines.filter((line) => line !== "");
}

/** Return a self-contained HTML page. */
export function asPage(entry, model) {
  const { prediction } = entry.answer;
  const page = document.implementation.createHTMLDocument(say("export.report"));
  page.documentElement.lang = spoken();
  page.head.prepend(element("meta", { charset: "utf-8" }));
  page.head.append(
    element("meta", { "http-equiv": "Content-Security-Policy", content: "default-src 'none'; img-src data:; style-src 'unsafe-inline'" }),
    element("meta", { name: "viewport", content: "width=device-width" }), element("style", {}, STYLE));
  page.body.append(
    element("p", { class: "research" }, researchLine()),
    element("h1", {}, say("export.report")),
    ...askedWords(entry).map((words) => element("p", {}, words)),
    ...warningWords(prediction).map((words) => element("p", {}, element("strong", {}, words))),
    element("h2", {}, `${say("verdict.title")}: ${say(`verdict.${prediction.verdict}`)}`),
    ...verdictWords(prediction, entry.kind === "volume").map((words) => element("p", {}, words)),
    element("ul", {}, ...prediction.reasons.map((reason) => element("li", {}, reasonWords(reason)))),
    ...picturesIn(entry), ...(isOutside(prediction) ? [] : figuresIn(prediction, entry.kind === "volume")), ...modelIn(entry, model));
  return new Blob([`<!doctype html>\n${page.documentElement.outerHTML}\n`], { type: "text/html" });
}

function picturesIn(entry) {
  const words = entry.kind === "volume" ? volumeWords(entry) : [];
  const pictures = ["original", "seen"].filter((id) => the(id).width > 1).map((id) =>
    element("img", { src: the(id).toDataURL("image/png"), alt: the(id).getAttribute("aria-label") }));
  if (!isOutside(entry.answer.prediction)) words.push(`${say("map.class")} ${className(the("map-class").value)}: ${say("map.caption")}`);
  return [element("div", {}, ...pictures), ...words.map((line) => element("p", {}, line))];
}

function figuresIn(prediction, isVolume) {
  const rows = [...Object.entries(prediction.probabilities).map(([name, share]) => [className(name), share]),
    ...(prediction.tumour_probability === null ? [] : [[say("bars.tumour"), prediction.tumour_probability]])];
  return [
    element("h2", {}, say(isVolume ? "bars.pooled" : "bars.title")),
    element("table", {}, ...rows.map(([name, share]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, percent(share))))),
    ...[...(isVolume ? [] : setWords(prediction)), ...doubtWords(prediction)].map((words) => element("p", {}, words)),
  ];
}

function modelIn(entry, model) {
  return [
    element("h2", {}, say("export.model")),
    ...(model === null ? [] : [element("p", {}, modelLine(model))]),
    element("p", {}, `${say("export.digest")}: `, element("code", {}, entry.answer.model)),
  ];
}

/** Download a file. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = element("a", { href: address, download: name });
  link.click();
  // The download has started; free the memory.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
