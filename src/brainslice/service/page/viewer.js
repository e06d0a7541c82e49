// The two images: decoded scan, and network input with class map.

import { element, the, write } from "./element.js";
import { overlay, put, windowed } from "./picture.js";
import { className, percent, say } from "./words.js";

export class Viewer {
  constructor() {
    this.pictures = null;
    this.name = null;
    for (const id of ["map-on", "opacity", "map-class", "level", "window"]) the(id).addEventListener("input", () => this.draw());
    the("zoom").addEventListener("input", () => this.zoom());
    the("view-reset").addEventListener("click", () => this.reset());
    this.panes = [...document.querySelectorAll(".pane")];
    for (const pane of this.panes) pane.addEventListener("scroll", () => this.follow(pane));
  }

  /** Show images with the map of class `name`, without a map if `mapped` is false. */
  show(pictures, name, mapped) {
    if (pictures !== this.pictures) this.fillClasses(pictures, name);
    Object.assign(this, { pictures, mapped });
    the("map").hidden = !mapped;
    this.draw();
  }

  /** Zoom both images about the centre of the view. */
  zoom() {
    const zoom = Number(the("zoom").value) / 100;
    for (const pane of this.panes) {
      const x = (pane.scrollLeft + pane.clientWidth / 2) / pane.scrollWidth, y = (pane.scrollTop + pane.clientHeight / 2) / pane.scrollHeight;
      pane.style.setProperty("--zoom", zoom);
      pane.scrollTo({ left: x * pane.scrollWidth - pane.clientWidth / 2, top: y * pane.scrollHeight - pane.clientHeight / 2, behavior: "instant" });
      // Scrollable images must be focusable.
      if (zoom > 1) pane.setAttribute("tabindex", "0");
      else pane.removeAttribute("tabindex");
    }
    the("zoom").setAttribute("aria-valuetext", `${the("zoom").value} %`);
  }

  /** Synchronise scrolling. */
  follow(pane) {
    for (const other of this.panes) {
      if (other !== pane) other.scrollTo({ left: pane.scrollLeft, top: pane.scrollTop, behavior: "instant" });
    }
  }

  reset() {
    Object.assign(the("zoom"), { value: 100 });
    Object.assign(the("level"), { value: 50 });
    Object.assign(the("window"), { value: 100 });
    this.zoom();
    if (this.pictures !== null) this.draw();
  }

  /** Show no image. */
  blank() {
    this.pictures = null;
    the("map").hidden = true;
    for (const id of ["original", "seen"]) {
      Object.assign(the(id), { width: 1, height: 1 });
      the(id).setAttribute("aria-label", say("pictures.none"));
    }
  }

  fillClasses(pictures, name) {
    const list = the("map-class");
    const keep = this.name === name && name in pictures.maps ? list.value : name;
    this.name = name;
    list.replaceChildren(...Object.keys(pictures.maps).map((key) => element("option", { value: key }, className(key))));
    list.value = keep in pictures.maps ? keep : Object.keys(pictures.maps)[0];
  }

  /** Update all texts to the current language. */
  sayAgain() {
    for (const option of the("map-class").options) write(option, className(option.value));
    if (this.pictures !== null) this.draw();
  }

  draw() {
    const { original, seen, maps } = this.pictures;
    const opacity = this.mapped && the("map-on").checked ? Number(the("opacity").value) / 100 : 0;
    const chosen = the("map-class").value;
    put(the("original"), windowed(original, Number(the("level").value) / 100, Number(the("window").value) / 100));
    put(the("seen"), overlay(seen, maps[chosen], opacity));
    const size = { width: seen.width, height: seen.height };
    the("original").setAttribute("aria-label", say("pictures.original.alt", { width: original.width, height: original.height }));
    the("seen").setAttribute("aria-label", opacity === 0
      ? say("pictures.seen.alt", size)
      : say("pictures.map.alt", { ...size, class: className(chosen), opacity: percent(opacity) }));
    the("opacity").setAttribute("aria-valuetext", `${the("opacity").value} %`);
  }
}
