// Translations and number formats.

const LANGUAGES = ["en", "es"];

const catalogues = {};
let language = "en";

/** Fetch all catalogues, so that switching works offline. */
export async function loadWords() {
  await Promise.all(LANGUAGES.map(async (name) => {
    const answer = await fetch(new URL(`words/${name}.json`, import.meta.url));
    catalogues[name] = await answer.json();
  }));
}

/** The initial language: the stored one, or the first supported one of the browser. */
export function languageFor(chosen, wished) {
  const known = wished.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => LANGUAGES.includes(tag));
  return LANGUAGES.includes(chosen) ? chosen : known ?? "en";
}

/** Switch the language and translate the document. */
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

/** Return the text of a key with values for its {placeholders}. */
export function say(key, values = {}) {
  const sentence = catalogues[language]?.[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The translated name of a class, or its own name. */
export function className(name) {
  const key = `class.${name}`;
  return knows(key) ? say(key) : name;
}

/** The translated name of a plane. */
export function planeName(name) {
  return knows(`plane.${name}`) ? say(`plane.${name}`) : name;
}

/** Format a list: "a, b or c". */
export function either(names) {
  return new Intl.ListFormat(language, { type: "disjunction" }).format(names);
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** Format a date. */
export function day(moment) {
  return new Intl.DateTimeFormat(language, { dateStyle: "long", timeZone: "UTC" }).format(new Date(moment));
}

/** Format a probability with two digits, never 100 % or 0 %; rounds half to even like Python. */
export function percent(probability) {
  const scaled = 100 * probability;
  const below = Math.floor(scaled);
  const half = scaled - below === 0.5;
  const whole = half ? below + (below % 2) : Math.round(scaled);
  if (whole > 99) return "> 99\u00a0%";
  return whole > 0 ? `${whole}\u00a0%` : "< 1\u00a0%";
}

/** Format a measured share in whole percent. */
export function share(value) {
  return `${number(100 * value)}\u00a0%`;
}

// Stored settings: language and appearance.

/** Bind both selects and restore the stored settings. */
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

// Storage may be blocked by the browser.
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
    // Not stored.
  }
}
