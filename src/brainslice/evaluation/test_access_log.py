"""How often each test set was opened (C5): one line a time, never taken back."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from brainslice.errors import DatasetError
from brainslice.files import write_text


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One scoring of one test set by one model.

    Attributes:
        split: Digest of the split whose test scans were scored.
        protocol: ``clean`` or ``official``.
        bundle: Digest of the model that was scored.
        scans: How many test scans there were.
        time: When, in UTC.
    """

    split: str
    protocol: str
    bundle: str
    scans: int
    time: str


class AccessLog:
    """The list of openings in one file, a JSON object a line."""

    def __init__(self, path: Path) -> None:
        """Take the file; it need not exist yet."""
        self._path = path

    def accesses(self, split: str) -> tuple[AccessEntry, ...]:
        """List the openings of one split's test scans, oldest first.

        Raises:
            DatasetError: The file was damaged.
        """
        return tuple(opening for opening in self._read() if opening.split == split)

    def record(self, split: str, protocol: str, bundle: str, scans: int) -> int:
        """Enter one opening before it happens.

        Returns:
            How often this split's test scans have been scored, this time included.
        """
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        entries = [*self._read(), AccessEntry(split, protocol, bundle, scans, now)]
        write_text(self._path, "".join(json.dumps(asdict(entry)) + "\n" for entry in entries))
        return sum(entry.split == split for entry in entries)

    def _read(self) -> list[AccessEntry]:
        if not self._path.exists():
            return []
        try:
            return [AccessEntry(**json.loads(line)) for line in self._path.read_text(encoding="utf-8").splitlines()]
        except (ValueError, TypeError) as error:
            msg = f"{self._path}: the ledger of test openings is damaged; restore a copy, or move it away knowingly"
            raise DatasetError(msg) from error
