"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brainslice.errors import ResourceError

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<kind>tmp|old)-\w{8}(?:\.\w+)?")
"""Names of files and folders that are written before they take their place, or that were replaced."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BLOCK = 1 << 20


def is_full_disk(error: OSError) -> bool:
    """Tell whether the operating system complains about room on a disk."""
    return error.errno in _FULL


@contextlib.contextmanager
def full_disk_error(path: Path) -> Iterator[None]:
    """Turn the operating system's word for a full disk into ours.

    Raises:
        ResourceError: There is no room left for ``path``.
    """
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
        msg = f"{path}: no space left on the disk; free some space or choose another folder, then run the command again"
        raise ResourceError(msg) from error


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` that takes its place once the block ends well.

    Whatever goes wrong inside, the previous file stays and the temporary one goes.

    Raises:
        ResourceError: The disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.tmp-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with full_disk_error(path):
            yield temporary
            _settle(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path`` that takes its place once the block ends well.

    Raises:
        ResourceError: The disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.tmp-", dir=path.parent))
    retired = staging.with_name(staging.name.replace(".tmp-", ".old-"))
    try:
        with full_disk_error(path):
            yield staging
            staging.chmod(0o755)
            if path.exists():
                path.rename(retired)
            staging.rename(path)
    except BaseException:
        if retired.exists() and not path.exists():
            retired.rename(path)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)


def replaced_folder(path: Path) -> Path | None:
    """Find the folder that ``atomic_folder`` moved aside when it was killed before the new one took its place.

    Returns:
        The newest of them; None where ``path`` exists or there is none.
    """
    if path.exists() or not path.parent.is_dir():
        return None
    aside = [found for found in path.parent.glob(f".{path.name}.old-*") if found.is_dir()]
    return max(aside, key=lambda found: found.stat().st_mtime, default=None)


def clear_leftovers(folder: Path) -> None:
    """Remove what killed runs left in a folder, and put back what they had moved aside.

    Call it only while nobody else writes there.
    """
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        found = _TEMPORARY.fullmatch(entry.name)
        if found is None:
            continue
        target = folder / found["name"]
        if found["kind"] == "old" and replaced_folder(target) == entry:
            entry.rename(target)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, in UTF-8 with line feeds on every system."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - whatever json can say
    """Write a value as JSON, whole or not at all; NaN is refused because JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def sha256_of(path: Path) -> str:
    """Hash a file's bytes, a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _settle(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
