"""Scans excluded from training and validation because of an overlap with another set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from brainslice.errors import DatasetError
from brainslice.files import write_json

EXCLUDED_FILE: Final = "exclusion.json"
"""The file of excluded scans, beside the manifest."""


@dataclass(frozen=True, slots=True)
class ExcludedScans:
    """Scans excluded from training and validation.

    Attributes:
        against: The other set's name.
        copies: Number of scans with a duplicate in the other set; the others are related to these.
        paths: The scans, relative to the manifest's root, sorted.
    """

    against: str
    copies: int
    paths: tuple[str, ...]

    @property
    def summary(self) -> str:
        """Describe the exclusion in a line."""
        relatives = len(self.paths) - self.copies
        return (
            f"{self.copies:,} scans that show a picture of {self.against} and {relatives:,} relatives of theirs "
            "neither train nor validate"
        )

    def write(self, folder: Path) -> None:
        """Write the list beside the manifest atomically.

        Raises:
            ResourceError: The disk is full.
        """
        write_json(folder / EXCLUDED_FILE, asdict(self), "excluded-scans")

    @classmethod
    def read(cls, folder: Path) -> ExcludedScans | None:
        """Read the list beside a manifest, if there is one.

        Raises:
            DatasetError: It is damaged.
        """
        path = folder / EXCLUDED_FILE
        if not path.is_file():
            return None
        try:
            found = _Stored.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            msg = f"{path}: is no list of excluded scans; run brainslice prepare SOURCE again"
            raise DatasetError(msg) from error
        return cls(found.against, found.copies, tuple(found.paths))


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True)

    against: str
    copies: int
    paths: list[str]
