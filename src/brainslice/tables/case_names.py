"""Names of scans in rows: their paths, or pseudonyms made with a secret key."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from brainslice.errors import UsageError
from brainslice.inference import Prediction, Refusal
from brainslice.remote import RemoteFile, ScanPath
from brainslice.scan import SkippedFiles
from brainslice.tables.scan_listing import display_path, fingerprint

KEY_VARIABLE: Final = "BRAINSLICE_PSEUDONYM_KEY"
"""The environment variable of the key, read where the file is given as ``-``."""

_MIN_KEY_BYTES: Final = 16
_MAX_KEY_BYTES: Final = 4096
_ID_DIGITS: Final = 8
_DIGITS: Final = 32
_PSEUDONYM: Final = re.compile(rf"([0-9a-f]{{{_ID_DIGITS}}})-[0-9a-f]{{{_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class CaseNames:
    """How rows, messages and overlays name scans.

    A pseudonym is the first 8 hexadecimal digits of the HMAC-SHA256 of nothing, which identify the key, a hyphen, and
    the first 32 of the HMAC-SHA256 of the scan's path: relative to the folder given, with ``/`` between names; of a
    file given, its name; of a scan from a list of paths, the path as listed.

    Attributes:
        key: The secret key of pseudonyms; None names scans by their paths.
        given: The folders and files given; none for paths of a list.
    """

    key: bytes | None = field(default=None, repr=False)
    given: tuple[ScanPath, ...] = ()

    @property
    def key_id(self) -> str | None:
        """What the pseudonyms of this key begin with; None without a key."""
        return None if self.key is None else self._digest(b"", _ID_DIGITS)

    def of(self, path: ScanPath) -> str:
        """Return the name of a scan.

        Raises:
            UsageError: There is a key, and the scan is in a store.
        """
        if self.key is None:
            return display_path(path)
        return f"{self.key_id}-{self._digest(os.fsencode(self._relative(path).as_posix()), _DIGITS)}"

    def rename(self, path: ScanPath, answer: Prediction | Refusal) -> tuple[ScanPath, Prediction | Refusal]:
        """Return path and result of a scan under its name."""
        if self.key is None:
            return path, answer
        name = self.of(path)
        if isinstance(answer, Prediction):
            return Path(name), replace(answer, source=name)
        return Path(name), Refusal(name, f"{name}: {answer.reason.removeprefix(f'{display_path(path)}: ')}")

    def unique(self, paths: Iterable[ScanPath]) -> Iterator[ScanPath]:
        """Yield the scans, and refuse two with one pseudonym.

        Raises:
            UsageError: Scans of two folders given have the same path below them, or a scan is in a store.
        """
        if self.key is None:
            yield from paths
            return
        taken = set[bytes]()
        for path in paths:
            mark = fingerprint(self.of(path))
            if mark in taken:
                msg = "two scans have the same path below the folders given, so one pseudonym; give the folder above"
                raise UsageError(msg)
            taken.add(mark)
            yield path

    def skipped_files(self) -> SkippedFiles:
        """Return an empty count of files passed over, which names none of them under pseudonyms."""
        return SkippedFiles(anonymous=self.key is not None)

    def _relative(self, path: ScanPath) -> Path:
        if isinstance(path, RemoteFile):
            msg = "pseudonyms are for files of this machine, since messages of stores quote URIs; copy the scans first"
            raise UsageError(msg)
        folders = [folder for folder in self.given if isinstance(folder, Path) and path.is_relative_to(folder)]
        if not folders:
            return path
        folder = max(folders, key=lambda each: len(each.parts))
        return Path(path.name) if path == folder else path.relative_to(folder)

    def _digest(self, message: bytes, digits: int) -> str:
        return hmac.digest(self.key or b"", message, "sha256").hex()[:digits]


def key_id_of(name: object) -> str | None:
    """Return the identifier of the key of a pseudonym; None for a path."""
    found = _PSEUDONYM.fullmatch(str(name))
    return None if found is None else found[1]


def read_pseudonym_key(file: Path) -> bytes:
    """Read the key of pseudonyms: the text of a file, or of ``BRAINSLICE_PSEUDONYM_KEY`` for the file ``-``.

    Raises:
        UsageError: It cannot be read, or is shorter than 16 bytes.
    """
    place = KEY_VARIABLE if str(file) == "-" else str(file)
    try:
        if str(file) == "-":
            key = os.environ.get(KEY_VARIABLE, "").encode("utf-8", "surrogateescape").strip()
        else:
            with file.open("rb") as stream:
                key = stream.read(_MAX_KEY_BYTES).strip()
    except OSError as error:
        msg = f"{place}: the key cannot be read ({error.strerror}); write 32 random bytes as text into that file"
        raise UsageError(msg) from error
    if len(key) < _MIN_KEY_BYTES:
        fault = f"must hold a key of {_MIN_KEY_BYTES} bytes or more, got {len(key)}"
        msg = f"{place}: {fault}; openssl rand -hex 32 makes one"
        raise UsageError(msg)
    return key
