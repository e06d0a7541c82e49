"""Atomic writing of files and folders, file hashes, and YAML."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from brainslice.errors import ResourceError

SCHEMA: Final = "brainslice/{}/1"
"""The kind and version of a JSON object; the version grows when a key changes its meaning."""

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<kind>tmp|old)-\w{8}(?:\.\w+)?")
"""Names of temporary files and folders, and of backups of replaced folders."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_full_disk(error: OSError) -> bool:
    """Return whether an error means that the disk is full."""
    return error.errno in _FULL


@contextlib.contextmanager
def full_disk_error(path: Path, needed: int = 0) -> Iterator[None]:
    """Raise ``ResourceError`` for errors of a full disk.

    Args:
        path: What is written.
        needed: Its size in bytes, where known.

    Raises:
        ResourceError: The disk of ``path`` is full.
    """
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
        free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
        sizes = f" ({f'{_megabytes(needed)} needed, ' if needed else ''}{_megabytes(free)} free)"
        msg = f"{path}: no space left on the disk{sizes}; free some space or choose another folder, then run it again"
        raise ResourceError(msg) from error


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` that replaces it if the block does not raise, else is deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.tmp-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with full_disk_error(path):
            yield temporary
            _sync(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path, needed: int = 0) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` that replaces it if the block does not raise, else is deleted.

    ``needed`` is its size in bytes, where known, for the message of a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.tmp-", dir=path.parent))
    backup = staging.with_name(staging.name.replace(".tmp-", ".old-"))
    try:
        with full_disk_error(path, needed):
            yield staging
            staging.chmod(0o755)
            if path.exists():
                path.rename(backup)
            staging.rename(path)
    except BaseException:
        if backup.exists() and not path.exists():
            backup.rename(path)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(backup, ignore_errors=True)


def replaced_folder(path: Path) -> Path | None:
    """Find the newest backup that a killed ``atomic_folder`` left; None if ``path`` exists or there is none."""
    if path.exists() or not path.parent.is_dir():
        return None
    backups = [entry for entry in path.parent.glob(f".{path.name}.old-*") if entry.is_dir()]
    return max(backups, key=lambda entry: entry.stat().st_mtime, default=None)


def clear_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove temporary files of killed runs from a folder, and restore backups; no other process may write there.

    With ``name``, only temporary files of the file of this name without suffix, or of the folder of this name.
    """
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _TEMPORARY.fullmatch(entry.name)
        if match is None or name not in {None, match["name"]}:
            continue
        target = folder / match["name"]
        if match["kind"] == "old" and replaced_folder(target) == entry:
            entry.rename(target)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8 with line feeds on every system."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, values: Mapping[str, Any], schema: str) -> None:
    """Write an object as JSON atomically, with the version of its schema as first key; NaN raises ``ValueError``."""
    content = {"schema": SCHEMA.format(schema), **values}
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
