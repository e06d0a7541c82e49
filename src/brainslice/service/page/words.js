// What the page says, in the language chosen, and how numbers are written in it.

const LANGUAGES = ["en", "es"];

const catalogues = {};
let language = "en";

/** Fetch every catalogue at once, so that switching works even when the service is gone. */
export async function loadWords() {
  await Promise.all(LANGUAGES.map(async (name) => {
    const answer = await fetch(new URL(`words/${name}.json`, import.meta.url));
    catalogues[name] = await answer.json();
  }));
}

/** The language to start with: the one chosen before, or the first of the browser's that there is. */
export function languageFor(chosen, wished) {
  const known = wished.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => LANGUAGES.includes(tag));
  return LANGUAGES.includes(chosen) ? chosen : known ?? "en";
}

/** Speak this language from now on, and say in it what stands in the document. */
export function speak(name, root = document) {
  language = name;
  root.documentElement.lang = name;
  for (const part of root.querySelectorAll("[data-say]")) part.textContent = say(part.dataset.say);
  for (const part of root.querySelectorAll("[data-label]")) part.setAttribute("aria-label", say(part.dataset.label));
}

export function spoken() {
  return language;
}

export function knows(key) {
  return key in (catalogues[language] ?? {});
}

/** Say the sentence of this key, with values in its {placeholders}. */
export function say(key, values = {}) {
  const sentence = catalogues[language]?.[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** A class by the name people use; a class nobody translated keeps its own. */
export function className(name) {
  const key = `class.${name}`;
  return knows(key) ? say(key) : name;
}

/** A plane of the body by the name people use. */
export function planeName(name) {
  return knows(`plane.${name}`) ? say(`plane.${name}`) : name;
}

/** A list in words: "a, b or c". */
export function either(names) {
  return new Intl.ListFormat(language, { type: "disjunction" }).format(names);
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** A day, without the hour. */
export function day(moment) {
  return new Intl.DateTimeFormat(language, { dateStyle: "long", timeZone: "UTC" }).format(new Date(moment));
}

/** A probability in two digits; no model is entitled to 100 %, nor to 0 %. Halves go to the even side, as in Python. */
export function percent(probability) {
  const scaled = 100 * probability;
  const below = Math.floor(scaled);
  const half = scaled - below === 0.5;
  const whole = half ? below + (below % 2) : Math.round(scaled);
  if (whole > 99) return "> 99\u00a0%";
  return whole > 0 ? `${whole}\u00a0%` : "< 1\u00a0%";
}

/** A measured share in whole percent, where all and none are possible findings. */
export function share(value) {
  return `${number(100 * value)}\u00a0%`;
}

// The two things this page stores: the language and the appearance that were chosen.

/** Bind the two lists, and speak and look as chosen before. */
export function bindChoices({ language, theme }, spokenAnew) {
  language.value = languageFor(recall("language"), navigator.languages);
  theme.value = ["light", "dark"].includes(recall("theme")) ? recall("theme") : "system";
  speak(language.value);
  look(theme.value);
  language.addEventListener("change", () => {
    remember("language", language.value);
    speak(language.value);
    spokenAnew();
  });
  theme.addEventListener("change", () => {
    remember("theme", theme.value);
    look(theme.value);
  });
}

function look(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

// A browser may forbid storage altogether; the page then forgets the choice, and works.
function recall(name) {
  try {
    return localStorage.getItem(`brainslice.${name}`);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`brainslice.${name}`, value);
  } catch {
    // Forgotten with the page, then.
  }
}
