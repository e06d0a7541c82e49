"""Read, write and update bundles: atomically, with every byte verified."""

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

_MAX_INFO_BYTES = 1 << 20
# Files that file browsers leave in folders.
_IGNORED = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_REMEDY = "copy the bundle again from its source, or train a new one"


@dataclass(frozen=True, slots=True)
class ModelBundle:
    """A bundle whose files were verified.

    Attributes:
        folder: Its folder.
        info: Its description.
    """

    folder: Path
    info: BundleInfo

    @property
    def labels(self) -> LabelSet:
        """The classes, in the order of the graph's outputs."""
        return self.info.labels.label_set()

    def path(self, name: str) -> Path:
        """Return the path of a file.

        Raises:
            BundleError: The bundle has no such file.
        """
        if name not in self.info.files:
            msg = f"{self.folder}: holds no {name}, only {', '.join(self.info.files)}; {_REMEDY}"
            raise BundleError(msg)
        return self.folder / name


class _FormatVersion(BaseModel):
    format: int


def write_bundle(folder: Path, draft: BundleDraft, files: Mapping[str, Path]) -> ModelBundle:
    """Write a bundle atomically, replacing an older one.

    Files are copied to a temporary folder beside ``folder``, flushed and verified before that replaces ``folder``.
    ``files`` maps names in the bundle to current paths.

    Raises:
        BundleError: A file is missing or its name invalid, or ``folder`` holds something that is no bundle.
        ResourceError: The disk is full.
    """
    target = folder.resolve()
    _check_replaceable(target)
    info = _sign(target, draft, files)
    with atomic_folder(target, sum(source.stat().st_size for source in files.values())) as staging:
        for name, source in files.items():
            _copy(source, staging / name)
        _write_and_sync(staging / INFO_FILE, info.to_text().encode())
        open_bundle(staging)
    return ModelBundle(folder=target, info=info)


def update_bundle(folder: Path, *, added: Mapping[str, Path] | None = None, **changes: object) -> ModelBundle:
    """Change fields of a bundle's description atomically; model card and digest are updated.

    Args:
        folder: The bundle.
        added: Files to add or replace: name in the bundle to current path.
        **changes: Fields of ``BundleDraft`` and their new values, such as ``threshold=0.3``.

    Raises:
        BundleError: The bundle is altered, or a value is invalid.
        ResourceError: The disk is full; the older bundle is kept.
    """
    bundle = open_bundle(folder)
    fields = {name: getattr(bundle.info, name) for name in BundleDraft.model_fields}
    try:
        draft = BundleDraft.model_validate({**fields, **changes})
    except ValidationError as error:
        msg = f"{folder}: {_first_fault(error)}; the bundle stays as it was"
        raise BundleError(msg) from error
    files = {**{name: bundle.path(name) for name in bundle.info.files}, **(added or {})}
    with tempfile.TemporaryDirectory() as temporary:
        if CARD_FILE in files:
            card = files[CARD_FILE].read_text(encoding="utf-8", errors="replace")
            files[CARD_FILE] = Path(temporary) / CARD_FILE
            write_text(files[CARD_FILE], updated_card(card, bundle.info, draft))
        return write_bundle(folder, draft, files)


def open_bundle(folder: Path) -> ModelBundle:
    """Open a bundle and verify every byte of it.

    Raises:
        BundleError: A file is missing, altered, a link or not listed, or the format is newer.
    """
    if not folder.is_dir():
        fault = "is a file, a bundle must be a folder" if folder.exists() else "there is no such bundle"
        msg = f"{folder}: {fault}; {_missing_remedy(folder)}"
        raise BundleError(msg)
    info = _read_info(folder / INFO_FILE)
    _check_file_list(folder, {*info.files, INFO_FILE})
    for name, digest in info.files.items():
        with _read_errors(folder / name):
            found = sha256_of(folder / name)
        if found != digest:
            msg = f"{folder / name}: its sha256 must be {digest[:12]}…, got {found[:12]}…; {_REMEDY}"
            raise BundleError(msg)
    return ModelBundle(folder=folder, info=info)


def _sign(folder: Path, draft: BundleDraft, files: Mapping[str, Path]) -> BundleInfo:
    hashes = {}
    for name, source in files.items():
        with _read_errors(source):
            hashes[name] = sha256_of(source)
    try:
        return BundleInfo.sign(draft, hashes)
    except ValidationError as error:
        msg = f"{folder}: {_first_fault(error)}; a bundle like this cannot be written"
        raise BundleError(msg) from error


def _read_info(path: Path) -> BundleInfo:
    if path.is_symlink():
        _raise_link(path)
    with _read_errors(path), path.open("rb") as stream:
        data = stream.read(_MAX_INFO_BYTES + 1)
    if len(data) > _MAX_INFO_BYTES:
        msg = f"{path}: must be at most {_MAX_INFO_BYTES} bytes long; {_REMEDY}"
        raise BundleError(msg)
    # Version-control systems may convert line ends; nothing else may differ.
    data = data.replace(b"\r\n", b"\n")
    try:
        version = _FormatVersion.model_validate_json(data).format
        _check_version(path, version)
        older = version < FORMAT
        info = BundleInfo.model_validate_json(migrate_description(data.decode(), FORMAT) if older else data)
    except ValidationError as error:
        msg = f"{path}: {_first_fault(error)}; {_REMEDY}"
        raise BundleError(msg) from error
    if not (is_sealed(data.decode()) if older else _is_unaltered(info, data)):
        msg = f"{path}: was altered after it was written; {_REMEDY}"
        raise BundleError(msg)
    return info


def _is_unaltered(info: BundleInfo, data: bytes) -> bool:
    expected = (info.to_text().encode(), info.expected_digest(), info.expected_seal())
    return (data, info.digest, info.seal) == expected


def _check_version(path: Path, version: int) -> None:
    if version > FORMAT:
        msg = (
            f"{path}: bundle format must be at most {FORMAT}, got {version}; a newer brainslice wrote it, "
            "update with: pip install --upgrade brainslice"
        )
        raise BundleError(msg)


def _check_file_list(folder: Path, expected: set[str]) -> None:
    with _read_errors(folder):
        entries = {entry.name: entry for entry in os.scandir(folder) if entry.name not in _IGNORED}
    for name in sorted(expected - entries.keys()):
        msg = f"{folder / name}: is missing; {_REMEDY}"
        raise BundleError(msg)
    for name, entry in sorted(entries.items()):
        if entry.is_symlink():
            _raise_link(folder / name)
        if name not in expected or not entry.is_file():
            msg = f"{folder}: must hold only what {INFO_FILE} lists, got {name!r} too; move that elsewhere"
            raise BundleError(msg)


def _raise_link(path: Path) -> None:
    msg = f"{path}: must be a regular file, got a link; replace it by its target"
    raise BundleError(msg)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and ((folder / INFO_FILE).exists() or not any(folder.iterdir()))):
        return
    msg = f"{folder}: must be a bundle, an empty folder or a new name, got something else; choose another place"
    raise BundleError(msg)


def _missing_remedy(folder: Path) -> str:
    backup = replaced_folder(folder) if folder.name else None
    if backup is not None:
        return f"its backup is {backup}, rename that one to {folder}"
    return "give the folder that training wrote"


@contextlib.contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        msg = f"{path}: is missing; {_REMEDY}"
        raise BundleError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); {_REMEDY}"
        raise BundleError(msg) from error


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as stream, target.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())


def _write_and_sync(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in fault["loc"])
    return f"{field}: {fault['msg']}" if field else str(fault["msg"])
