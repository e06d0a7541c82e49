"""A bundle on the disk: written whole or not at all, and believed only after every byte was checked."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from brainslice.bundle.migration import is_sealed, migrate_description
from brainslice.bundle.model_card import CARD_FILE, updated_card
from brainslice.bundle.types import FORMAT, INFO_FILE, BundleDraft, BundleInfo
from brainslice.errors import BundleError
from brainslice.files import atomic_folder, replaced_folder, sha256_of, write_text
from brainslice.labels import LabelSet

_LARGEST_INFO = 1 << 20
# Left by file browsers in every folder they show; they can change nothing about the model.
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_REMEDY = "copy the bundle again from where it came, or train a new one"


@dataclass(frozen=True, slots=True)
class ModelBundle:
    """A folder whose every file was checked against its hash.

    Attributes:
        folder: Where it lies.
        info: What it says about its model.
    """

    folder: Path
    info: BundleInfo

    @property
    def labels(self) -> LabelSet:
        """The classes, in the order of the graph's outputs."""
        return self.info.labels.label_set()

    def path(self, name: str) -> Path:
        """Find one of its files.

        Raises:
            BundleError: The bundle has no such file.
        """
        if name not in self.info.files:
            msg = f"{self.folder}: holds no {name}, only {', '.join(self.info.files)}; {_REMEDY}"
            raise BundleError(msg)
        return self.folder / name


class _Layout(BaseModel):
    format: int


def write_bundle(folder: Path, draft: BundleDraft, files: Mapping[str, Path]) -> ModelBundle:
    """Write a bundle whole or not at all, in the place of an older one if there is any.

    The files are copied to a folder beside ``folder``, settled on the disk and read back; only then
    does that folder take the older one's place. Whatever happens before, the older bundle stays as it was.

    Args:
        folder: Where the bundle shall lie.
        draft: What it says about its model.
        files: The name each file shall have in the bundle, to where it lies now.

    Returns:
        The bundle, as reading it back gave it.

    Raises:
        BundleError: A file is missing or has no fit name, or ``folder`` holds something that is no bundle.
        ResourceError: The disk is full.
    """
    place = folder.resolve()
    _refuse_to_replace(place)
    info = _sign(place, draft, files)
    with atomic_folder(place) as staging:
        for name, source in files.items():
            _copy(source, staging / name)
        _write_and_settle(staging / INFO_FILE, info.to_text().encode())
        open_bundle(staging)
    return ModelBundle(folder=place, info=info)


def update_bundle(folder: Path, *, added: Mapping[str, Path] | None = None, **changes: object) -> ModelBundle:
    """Change what a bundle says about its model, and seal it anew: whole or not at all.

    The model's own files stay as they are; the card is written again, since it repeats the description, and keeps its
    findings. The digest changes with the description.

    Args:
        folder: The bundle.
        added: Files to put in too, or in the place of those of their name: the name in the bundle to where it lies.
        **changes: Fields of ``BundleDraft`` and their new values, such as ``threshold=0.3``.

    Returns:
        The bundle as it lies there now.

    Raises:
        BundleError: The bundle is altered, or would say what no bundle can.
        ResourceError: The disk is full; the older bundle stays as it was.
    """
    bundle = open_bundle(folder)
    said = {name: getattr(bundle.info, name) for name in BundleDraft.model_fields}
    try:
        draft = BundleDraft.model_validate({**said, **changes})
    except ValidationError as error:
        msg = f"{folder}: {_first_fault(error)}; the bundle stays as it was"
        raise BundleError(msg) from error
    files = {**{name: bundle.path(name) for name in bundle.info.files}, **(added or {})}
    with tempfile.TemporaryDirectory() as place:
        if CARD_FILE in files:
            card = files[CARD_FILE].read_text(encoding="utf-8", errors="replace")
            files[CARD_FILE] = Path(place) / CARD_FILE
            write_text(files[CARD_FILE], updated_card(card, bundle.info, draft))
        return write_bundle(folder, draft, files)


def open_bundle(folder: Path) -> ModelBundle:
    """Read a bundle and check every byte of it.

    Args:
        folder: Where the bundle lies.

    Returns:
        The bundle, all of whose files are there, are unaltered, and are all there is.

    Raises:
        BundleError: A file is missing, altered, a link or not listed, or a newer version wrote it.
    """
    if not folder.is_dir():
        fault = "is a file, a bundle must be a folder" if folder.exists() else "there is no such bundle"
        msg = f"{folder}: {fault}; {_remedy_for_missing(folder)}"
        raise BundleError(msg)
    info = _read_info(folder / INFO_FILE)
    _refuse_strangers(folder, {*info.files, INFO_FILE})
    for name, digest in info.files.items():
        with _reading(folder / name):
            found = sha256_of(folder / name)
        if found != digest:
            msg = f"{folder / name}: its sha256 must be {digest[:12]}…, got {found[:12]}…; {_REMEDY}"
            raise BundleError(msg)
    return ModelBundle(folder=folder, info=info)


def _sign(place: Path, draft: BundleDraft, files: Mapping[str, Path]) -> BundleInfo:
    hashes = {}
    for name, source in files.items():
        with _reading(source):
            hashes[name] = sha256_of(source)
    try:
        return BundleInfo.sign(draft, hashes)
    except ValidationError as error:
        msg = f"{place}: {_first_fault(error)}; a bundle like this cannot be written"
        raise BundleError(msg) from error


def _read_info(path: Path) -> BundleInfo:
    if path.is_symlink():
        _refuse_link(path)
    with _reading(path), path.open("rb") as stream:
        data = stream.read(_LARGEST_INFO + 1)
    if len(data) > _LARGEST_INFO:
        msg = f"{path}: must be at most {_LARGEST_INFO} bytes long; {_REMEDY}"
        raise BundleError(msg)
    # Some version-control systems change line ends when they copy; nothing else may differ.
    data = data.replace(b"\r\n", b"\n")
    try:
        layout = _Layout.model_validate_json(data).format
        _refuse_newer(path, layout)
        older = layout < FORMAT
        info = BundleInfo.model_validate_json(migrate_description(data.decode(), FORMAT) if older else data)
    except ValidationError as error:
        msg = f"{path}: {_first_fault(error)}; {_REMEDY}"
        raise BundleError(msg) from error
    written = info.to_text().encode()
    if not (is_sealed(data.decode()) if older else (data, info.digest) == (written, info.sealed_digest())):
        msg = f"{path}: was altered after it was written; {_REMEDY}"
        raise BundleError(msg)
    return info


def _refuse_newer(path: Path, layout: int) -> None:
    if layout > FORMAT:
        msg = (
            f"{path}: bundle format must be at most {FORMAT}, got {layout}; a newer brainslice wrote it, "
            "update with: pip install --upgrade brainslice"
        )
        raise BundleError(msg)


def _refuse_strangers(folder: Path, expected: set[str]) -> None:
    with _reading(folder):
        entries = {entry.name: entry for entry in os.scandir(folder) if entry.name not in _LITTER}
    for name in sorted(expected - entries.keys()):
        msg = f"{folder / name}: is missing; {_REMEDY}"
        raise BundleError(msg)
    for name, entry in sorted(entries.items()):
        if entry.is_symlink():
            _refuse_link(folder / name)
        if name not in expected or not entry.is_file():
            msg = f"{folder}: must hold only what {INFO_FILE} lists, got {name!r} too; move that elsewhere"
            raise BundleError(msg)


def _refuse_link(path: Path) -> None:
    msg = f"{path}: must be a file of its own, got a link; put the file it points to in its place"
    raise BundleError(msg)


def _refuse_to_replace(place: Path) -> None:
    if not place.exists() or (place.is_dir() and ((place / INFO_FILE).exists() or not any(place.iterdir()))):
        return
    msg = f"{place}: must be a bundle, an empty folder or a new name, got something else; choose another place"
    raise BundleError(msg)


def _remedy_for_missing(folder: Path) -> str:
    retired = replaced_folder(folder) if folder.name else None
    if retired is not None:
        return f"the one before it is {retired}, rename that one to {folder}"
    return "give the folder that training wrote"


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        msg = f"{path}: is missing; {_REMEDY}"
        raise BundleError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); {_REMEDY}"
        raise BundleError(msg) from error


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as incoming, target.open("wb") as outgoing:
        shutil.copyfileobj(incoming, outgoing, 1 << 20)
        outgoing.flush()
        os.fsync(outgoing.fileno())


def _write_and_settle(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else str(fault["msg"])
