// The two things this page remembers: the language and the appearance that were chosen. Nothing else is ever stored.

import { languageFor, speak } from "./words.js";

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
