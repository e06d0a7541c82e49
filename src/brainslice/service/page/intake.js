// Input of files by drop, paste or choice, grouped into scans and volumes.

const HEADER = 1 << 16, FEWEST_SLICES = 3;
const JUNK = /^(\.|thumbs\.db$|desktop\.ini$|dicomdir$)/i;

/** Listen for files; call back with [{file, folder}]. */
export function watchIntake({ zone, files, folder, pickFiles, pickFolder }, take) {
  pickFiles.addEventListener("click", () => files.click());
  pickFolder.addEventListener("click", () => folder.click());
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      const lot = [...input.files].map((file) => ({ file, folder: folderOf(file.webkitRelativePath) }));
      if (input === folder) lot.sort((one, other) => byName(one.file.webkitRelativePath, other.file.webkitRelativePath));
      input.value = "";
      take(lot);
    });
  }
  document.addEventListener("paste", (event) => {
    const lot = [...(event.clipboardData?.files ?? [])].map((file) => ({ file, folder: "" }));
    if (lot.length === 0) return;
    event.preventDefault();
    take(lot);
  });
  watchDrops(zone, take);
}

function watchDrops(zone, take) {
  let depth = 0;
  const show = (step) => {
    depth = Math.max(0, depth + step);
    zone.classList.toggle("over", depth > 0);
  };
  document.addEventListener("dragenter", (event) => { event.preventDefault(); show(1); });
  document.addEventListener("dragleave", () => show(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    show(-depth);
    take(await dropped(event.dataTransfer));
  });
}

/** List dropped files and folders; the items must be read before the event ends. */
async function dropped(transfer) {
  const roots = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? null);
  if (roots.length === 0 || roots.includes(null)) return [...transfer.files].map((file) => ({ file, folder: "" }));
  return (await Promise.all(roots.map((root) => open(root, "")))).flat();
}

async function open(entry, folder) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    return [{ file, folder }];
  }
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    // A reader returns up to a hundred entries per call, and none at the end.
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (some.length === 0) break;
    inside.push(...some);
  }
  inside.sort((one, other) => byName(one.name, other.name));
  return (await Promise.all(inside.map((one) => open(one, `${folder}${entry.name}/`)))).flat();
}

/** Sort in natural order: 2 before 10. */
function byName(one, other) {
  return one.localeCompare(other, undefined, { numeric: true });
}

function folderOf(path = "") {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

/**
 * Group files into entries {name, files, kind}: DICOM files of a folder, or of a series without folder, are a volume;
 * other files are single scans.
 */
export async function entriesOf(lot) {
  const wanted = lot.filter(({ file }) => !JUNK.test(file.name));
  const kinds = await Promise.all(wanted.map(({ file }) => kindOf(file)));
  const entries = [];
  const studies = new Map();
  wanted.forEach(({ file, folder }, place) => {
    const { kind, series } = kinds[place];
    const key = kind === "dicom" ? folder || series : null;
    if (key === null) entries.push({ name: file.name, files: [file], kind: kind === "volume" ? "volume" : "scan" });
    else if (studies.has(key)) studies.get(key).files.push(file);
    else {
      const entry = { name: folder.replace(/\/$/, ""), files: [file], kind: "volume" };
      studies.set(key, entry);
      entries.push(entry);
    }
  });
  return entries.flatMap(named);
}

/** Name a study; too few files for a volume become single scans. */
function named({ name, files, kind }) {
  const loose = name === "" && files.length < FEWEST_SLICES;
  const sole = files.length === 1 && !/\.(nii|gz|zip)$/i.test(files[0].name);
  if (kind === "volume" && (loose || sole)) return files.map((file) => ({ name: file.name, files: [file], kind: "scan" }));
  if (name !== "") return [{ name, files, kind }];
  files.sort((one, other) => byName(one.name, other.name));
  return [{ name: `${files[0].name} – ${files.at(-1).name}`, files, kind }];
}

/** Detect the kind of a file by its first bytes: {kind: "dicom", series}, {kind: "volume"} (NIfTI, or an archive) or {kind: "scan"}. */
async function kindOf(file) {
  const head = new Uint8Array(await file.slice(0, HEADER).arrayBuffer().catch(() => new ArrayBuffer(0)));
  const at = (place, length) => String.fromCharCode(...head.subarray(place, place + length));
  if (at(128, 4) === "DICM") return { kind: "dicom", series: seriesOf(head) };
  if (at(0, 2) === "\x1f\x8b" || at(0, 4) === "PK\x03\x04") return { kind: "volume" };
  const nifti = ["n+1", "ni1"].includes(at(344, 3)) || ["n+2", "ni2"].includes(at(4, 3));
  return { kind: nifti ? "volume" : "scan" };
}

/** The Series Instance UID (0020,000E) of a DICOM file in little endian; null where none is found. */
function seriesOf(head) {
  for (let place = 132; place < head.length - 8; place += 1) {
    if (head[place] !== 0x20 || head[place + 1] !== 0 || head[place + 2] !== 0x0e || head[place + 3] !== 0) continue;
    const explicit = head[place + 4] === 0x55 && head[place + 5] === 0x49;
    const length = explicit ? head[place + 6] + 256 * head[place + 7] : head[place + 4];
    const uid = String.fromCharCode(...head.subarray(place + 8, place + 8 + length)).replace(/[\0 ]+$/, "");
    if (/^[0-9.]{1,64}$/.test(uid)) return uid;
  }
  return null;
}
