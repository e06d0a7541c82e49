// The page: state, events and rendering.

import { showModel } from "./card.js";
import { element, the, write } from "./element.js";
import { asJson, asPage, asPicture, save } from "./exports.js";
import { entriesOf, watchIntake } from "./intake.js";
import { askedWords, isOpen, offerVerdicts, reasonOf, showList, stateWords, waysOn, watchList } from "./list.js";
import { Queue, SETTLED } from "./queue.js";
import { askModel, example, forget, predict, useToken } from "./service.js";
import { Threshold } from "./threshold.js";
import { doubtWords, isOutside, setWords, showBars, showVerdict, showWarnings, verdictOf, verdictWords, warningWords } from "./verdict.js";
import { Viewer } from "./viewer.js";
import { Scroller } from "./volume.js";
import { bindChoices, loadWords, say } from "./words.js";

let model = null, selected = null, said = "status.empty", tokenTried = false, awaited = false;

await loadWords();
const viewer = new Viewer();
const threshold = new Threshold();
const scroller = new Scroller(showSlice);
const queue = new Queue((entry, signal) => predict(entry, model, signal), changed, askToken);
bindChoices({ language: the("language"), theme: the("theme") }, sayAgain);
watchIntake({ zone: the("drop"), files: the("files"), folder: the("folder"), pickFiles: the("pick"), pickFolder: the("pick-folder") }, take);
for (const [id, act] of Object.entries({ cancel, clear, "export-json": saveJson, "export-png": () => saveShown(asPicture, "png"), "export-html": () => saveShown(asPage, "html") })) {
  the(id).addEventListener("click", act);
}
the("token").addEventListener("submit", giveToken);
the("frames").addEventListener("submit", predictFrame);
watchList({ sort: the("sort"), filter: the("filter") }, showProgress);
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", async () => take([{ file: await example(button.dataset.example), folder: "" }]));
}
await learnModel();
document.documentElement.dataset.ready = "";

/** Show the model and what depends on it; returns false if the service requires another token. */
async function learnModel() {
  try {
    model = await askModel();
    threshold.use(model);
    showModel(model);
    offerVerdicts(the("filter"), model);
    the("model-problem").hidden = true;
  } catch (failure) {
    if (failure.status === 401) {
      askToken();
      return false;
    }
    the("model-problem").hidden = false;
    the("model-problem").replaceChildren(say("problem.model"), " ", ...reasonOf(failure), " ",
      element("button", { type: "button", onclick: learnModel }, say("action.again")));
  }
  return true;
}

async function take(lot) {
  const entries = await entriesOf(lot);
  if (entries.length === 0) {
    tell("status.none");
    return;
  }
  said = "status.progress";
  if (selected === null) {
    [selected] = entries;
    awaited = true;
  }
  if (model === null && !queue.resting) learnModel();
  await queue.add(entries);
}

function changed(entry) {
  if (entry?.state === "done" && entry.kind === "scan") entry.picture = entry.answer.pictures.original;
  if (entry?.state === "done" && entry === selected) announce(entry);
  if (entry !== null && entry === selected) showSelected();
  if (awaited && entry === selected && SETTLED.has(entry.state) && entry.state !== "cancelled") reveal();
  if (queue.entries.length > 0 && !queue.busy && queue.done === queue.entries.length && said === "status.progress") {
    the("announcements").append(` ${statusWords()}`);
  }
  showProgress();
}

function select(entry, deliberately) {
  selected = entry;
  showSelected();
  if (entry.state === "done") announce(entry);
  showProgress();
  if (deliberately) reveal();
}

/** Scroll to the result and focus it where it is far down, as on a narrow screen. */
function reveal() {
  awaited = false;
  if (the("result").getBoundingClientRect().top < innerHeight / 2) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  the("result").scrollIntoView({ block: "start", behavior: still ? "instant" : "smooth" });
  the("result-title").focus({ preventScroll: true });
}

function showProgress() {
  const { entries } = queue;
  if (selected !== null && selected.row === undefined) showSelected();
  showList(the("list"), entries, selected, select);
  the("arrange").hidden = entries.length < 2;
  the("progress").hidden = entries.length === 0 && said === "status.empty";
  the("cancel").hidden = !queue.busy;
  the("clear").hidden = entries.length === 0;
  write(the("status"), statusWords());
  document.body.classList.toggle("working", queue.busy);
  document.body.classList.toggle("begun", entries.length > 0);
}

function statusWords() {
  return say(queue.slow ? "status.slow" : said, { done: queue.done, all: queue.entries.length });
}

/** Show and announce a status message. */
function tell(key) {
  said = key;
  showProgress();
  write(the("announcements"), statusWords());
}

function titleOf(entry) {
  return [entry.name, ...askedWords(entry)].join(" · ");
}

function announce(entry) {
  const { kind, answer: { prediction } } = entry;
  const words = [`${titleOf(entry)}: ${say(`verdict.${prediction.verdict}`)}.`, ...warningWords(prediction), ...verdictWords(prediction, kind === "volume")];
  write(the("announcements"), words.join(" "));
}

function showSelected() {
  the("result").hidden = selected === null;
  if (selected === null) return;
  write(the("result-title"), titleOf(selected));
  const done = selected.state === "done";
  for (const id of ["exports", "warnings"]) the(id).hidden = !done;
  document.querySelector(".evidence").hidden = !done;
  showFrames(selected);
  if (done) showAnswer(selected);
  else showWait(selected);
}

/** Show the choice of a frame for files of several. */
function showFrames(entry) {
  the("frames").hidden = typeof entry.frames !== "number" || (entry.kind === "volume" && entry.state === "done");
  if (the("frames").hidden) return;
  write(the("frame-label"), say("frame.label", { frames: entry.frames }));
  the("frame").max = entry.frames;
  // Do not change the number while it is being typed.
  if (document.activeElement !== the("frame")) the("frame").value = entry.asked.slice ?? Math.ceil(entry.frames / 2);
}

function predictFrame(event) {
  event.preventDefault();
  if (!SETTLED.has(selected.state)) return;
  predictAgain(selected, { kind: "scan", asked: { slice: the("frame").valueAsNumber } });
}

function showWait(entry) {
  scroller.open(null);
  const node = the("verdict");
  const failed = entry.state === "refused" || entry.state === "failed";
  node.dataset.verdict = failed && !isOpen(entry) ? "none" : "waiting";
  const word = failed ? say(isOpen(entry) ? "verdict.open" : "verdict.none") : stateWords(entry);
  const parts = [element("p", { class: "verdict-word" }, element("strong", {}, word))];
  if (failed) {
    parts.push(element("p", { class: isOpen(entry) ? null : "problem" }, ...reasonOf(entry.failure)));
    write(the("announcements"), `${entry.name}: ${word}. ${parts.at(-1).textContent}`);
  }
  const buttons = SETTLED.has(entry.state) ? waysOn(entry).map((way) => buttonFor(entry, way)) : [];
  if (buttons.length > 0) parts.push(element("div", { class: "buttons" }, ...buttons));
  node.replaceChildren(...parts);
}

function buttonFor(entry, { words, kind, asked, each }) {
  const act = each ? () => predictEach(entry) : () => predictAgain(entry, { kind, asked });
  return element("button", { type: "button", onclick: act }, words);
}

/** Predict an entry again, optionally with another choice. */
function predictAgain(entry, otherwise = {}) {
  // Fetched slices belong to the older prediction.
  Object.assign(entry, otherwise, { seen: null });
  // The pressed button is removed, so move the focus; the choice of a frame stays.
  if (!the("frames").contains(document.activeElement)) the("result-title").focus({ preventScroll: true });
  awaited = true;
  return queue.again(entry);
}

function predictEach(entry) {
  queue.entries = queue.entries.filter((one) => one !== entry);
  const each = entry.files.map((file) => ({ name: file.name, files: [file], kind: "scan" }));
  [selected] = each;
  the("result-title").focus({ preventScroll: true });
  queue.add(each);
}

function showAnswer(entry) {
  const { prediction } = entry.answer;
  const outside = isOutside(prediction);
  showWarnings(the("warnings"), prediction);
  showVerdict(the("verdict"), prediction, entry.kind === "volume");
  the("probabilities").hidden = outside;
  const decides = prediction.tumour_probability !== null;
  // Thresholds were measured on single slices and do not apply to volumes.
  the("threshold-part").hidden = outside || model === null || entry.kind === "volume" || !decides;
  threshold.show(prediction.tumour_probability);
  showNumbers(prediction, entry.kind === "volume");
  scroller.open(entry.kind === "volume" ? entry : null);
  // Only volumes have a known orientation.
  the("pictures").classList.toggle("oriented", entry.kind === "volume");
  if (entry.kind === "scan") viewer.show(entry.answer.pictures, prediction.class, !outside);
}

function showNumbers(prediction, isVolume) {
  write(the("probabilities-title"), say(isVolume ? "bars.pooled" : "bars.title"));
  showBars(the("bars"), prediction);
  the("set").hidden = isVolume;
  the("set").replaceChildren(...setWords(prediction).map((words, place) => element("span", place === 0 ? {} : { class: "quiet" }, words)));
  the("doubts").replaceChildren(...doubtWords(prediction).map((words) => element("li", {}, words)));
}

/** Show a slice of a volume, or an error; slices without prediction or with rejected input have no map. */
function showSlice(found) {
  const missing = found.pictures === undefined;
  the("slice-problem").hidden = !missing;
  if (missing) {
    viewer.blank();
    const entry = selected;
    const words = found.code === "unknown_volume" ? [say("problem.forgotten")] : reasonOf(found);
    the("slice-problem").replaceChildren(...words, " ",
      element("button", { type: "button", onclick: () => predictAgain(entry) }, say("action.again")));
    return;
  }
  if (!selected.picture) {
    selected.picture = found.pictures.original;
    showProgress();
  }
  const mapped = found.predicted && !isOutside(found.prediction) && !isOutside(selected.answer.prediction);
  viewer.show(found.pictures, found.prediction.class, mapped);
}

function sayAgain() {
  if (model !== null) {
    showModel(model);
    threshold.sayAgain();
  }
  viewer.sayAgain();
  showSelected();
  showProgress();
}

function cancel() {
  queue.cancel();
  the("token").hidden = true;
  tell("status.cancelled");
  showSelected();
}

function clear() {
  for (const { kind, answer } of queue.entries) if (kind === "volume" && answer !== null) forget(answer.viewer.id);
  selected = null;
  queue.clear();
  showSelected();
  viewer.blank();
  tell("status.cleared");
  the("pick").focus();
}

function askToken() {
  the("token-wrong").hidden = !tokenTried;
  the("token").hidden = false;
  the("token-field").focus();
}

async function giveToken(event) {
  event.preventDefault();
  useToken(the("token-field").value);
  the("token-field").value = "";
  the("token").hidden = true;
  tokenTried = true;
  if (await learnModel()) {
    tokenTried = false;
    the("token").hidden = true;
    await queue.resume();
  }
}

function nameOf(ending) {
  return `brainslice-${queue.entries.indexOf(selected) + 1}-${verdictOf(selected).replace(" ", "-")}.${ending}`;
}

function hand(blob, ending) {
  save(blob, nameOf(ending));
  write(the("announcements"), say("export.made", { name: nameOf(ending) }));
}

function saveJson() {
  hand(asJson(selected, model), "json");
}

/** Export once the images are loaded, unless another entry was selected meanwhile. */
async function saveShown(make, ending) {
  const entry = selected;
  // After scrolling, export the current slice.
  for (let coming; coming !== scroller.coming;) {
    coming = scroller.coming;
    await coming;
  }
  if (entry === selected) hand(await make(entry, model), ending);
}
