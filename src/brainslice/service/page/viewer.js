// The two pictures, side by side: the scan as it came, and what the model saw of it under the class map.

import { element, the, write } from "./element.js";
import { decode, overlay, put } from "./picture.js";
import { className, percent, say } from "./words.js";

/** Decode the pictures of an answer of /explain, or of one slice. */
export async function picturesOf(answer) {
  const [original, seen] = await Promise.all([decode(answer.original), decode(answer.network_input)]);
  return { original, seen, maps: answer.maps };
}

export class Viewer {
  constructor() {
    this.pictures = null;
    this.name = null;
    for (const id of ["map-on", "opacity", "map-class"]) the(id).addEventListener("input", () => this.draw());
  }

  /** Show pictures; the map is for `name` until another class is chosen, and absent where `mapped` is false. */
  show(pictures, name, mapped) {
    if (pictures !== this.pictures) this.fillClasses(pictures, name);
    Object.assign(this, { pictures, mapped });
    the("map").hidden = !mapped;
    this.draw();
  }

  /** Show no picture at all. */
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

  /** Say everything in the language of now. */
  sayAgain() {
    for (const option of the("map-class").options) write(option, className(option.value));
    if (this.pictures !== null) this.draw();
  }

  draw() {
    const { original, seen, maps } = this.pictures;
    const opacity = this.mapped && the("map-on").checked ? Number(the("opacity").value) / 100 : 0;
    const chosen = the("map-class").value;
    put(the("original"), original);
    put(the("seen"), overlay(seen, maps[chosen], opacity));
    const size = { width: seen.width, height: seen.height };
    the("original").setAttribute("aria-label", say("pictures.original.alt", { width: original.width, height: original.height }));
    the("seen").setAttribute("aria-label", opacity === 0
      ? say("pictures.seen.alt", size)
      : say("pictures.map.alt", { ...size, class: className(chosen), opacity: percent(opacity) }));
    the("opacity").setAttribute("aria-valuetext", `${the("opacity").value} %`);
  }
}
