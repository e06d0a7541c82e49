"""The manifest: scans of a data set with class, group, split, fold and origin."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brainslice.arrays import Decisions, Groups, Labels
from brainslice.dataset.splits.excluded import ExcludedScans
from brainslice.errors import BrainsliceError, DatasetError
from brainslice.files import write_json, write_text
from brainslice.labels import LabelSet

MANIFEST_FILE = "manifest.csv"
DATASET_FILE = "dataset.json"
PHANTOM_NAME = "phantom"
SPLITS = ("train", "val", "test")
_REMEDY = "run brainslice prepare SOURCE again"


@dataclass(frozen=True, slots=True)
class Record:
    """One scan of a data set.

    Attributes:
        path: The file, relative to the manifest's root, with forward slashes.
        sha256: Hash of the file's bytes, in hexadecimal.
        pixel_hash: Hash of the decoded pixels, equal for files that differ in encoding only.
        label: The class.
        group: Name of its group: scans of one patient, or copies of one image, which no split separates.
        split: The official split: ``train``, ``val`` or ``test``.
        fold: The fold of the clean protocol, from 0.
        source: The path in the original folder or archive.
    """

    path: str
    sha256: str
    pixel_hash: str
    label: str
    group: str
    split: str
    fold: int
    source: str

    def __post_init__(self) -> None:
        """Check that the path is inside the data set, and that split, fold and group are valid."""
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            msg = f"a record's path must stay inside the data folder, got {self.path!r}"
            raise DatasetError(msg)
        if self.split not in SPLITS:
            msg = f"{self.path}: split must be one of {list(SPLITS)}, got {self.split!r}"
            raise DatasetError(msg)
        if self.fold < 0 or not self.group:
            msg = f"{self.path}: needs a fold from 0 and a group, got {self.fold} and {self.group!r}"
            raise DatasetError(msg)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A prepared data set.

    Attributes:
        root: The folder of the records' paths.
        name: The name of the set; ``phantom`` marks drawn heads.
        labels: The classes.
        groups_from: ``table`` for known patients, ``audit`` for groups by duplicate detection.
        official_split: Whether the source has a test folder.
        records: The scans, in a fixed order.
        masks: The folder of tumour outlines, where known.
        exclusion: Scans excluded from training and validation, where there are any.
    """

    root: Path
    name: str
    labels: LabelSet
    groups_from: str
    official_split: bool
    records: tuple[Record, ...]
    masks: str | None = None
    exclusion: ExcludedScans | None = None

    def __post_init__(self) -> None:
        """Check for at least one scan, unique paths and known classes."""
        if not self.records:
            msg = f"{self.root}: a data set must hold at least one scan, got none; {_REMEDY}"
            raise DatasetError(msg)
        if len({record.path for record in self.records}) != len(self.records):
            msg = f"{self.root}: a data set must list each file once; {_REMEDY}"
            raise DatasetError(msg)
        for name in sorted({record.label for record in self.records}):
            self.labels.index(name)

    @property
    def paths(self) -> list[Path]:
        """The path of each scan."""
        return [self.root / record.path for record in self.records]

    @property
    def label_indices(self) -> Labels:
        """The class of each scan, as an index into ``labels``."""
        indices = {name: index for index, name in enumerate(self.labels.names)}
        return np.array([indices[record.label] for record in self.records], dtype=np.int64)

    @property
    def group_indices(self) -> Groups:
        """The group of each scan, as an index into the sorted group names."""
        indices = {name: index for index, name in enumerate(sorted({record.group for record in self.records}))}
        return np.array([indices[record.group] for record in self.records], dtype=np.int64)

    @property
    def excluded(self) -> Decisions:
        """Whether each scan is excluded from training and validation ``(n,)``."""
        paths = frozenset(self.exclusion.paths if self.exclusion else ())
        return np.array([record.path in paths for record in self.records], dtype=np.bool_)

    @property
    def phantom(self) -> bool:
        """Whether these are drawn heads, for which no medical figures may be stated."""
        return self.name == PHANTOM_NAME

    @property
    def digest(self) -> str:
        """Hash of contents, classes, groups, splits and folds, independent of file names."""
        left_out = frozenset(self.exclusion.paths if self.exclusion else ())
        lines = sorted(
            f"{r.sha256},{r.label},{r.group},{r.split},{r.fold}{',excluded' * (r.path in left_out)}\n"
            for r in self.records
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write ``manifest.csv`` and ``dataset.json`` atomically.

        The second has the hash of the first, so that reading detects a crash between the two.

        Raises:
            ResourceError: The disk is full.
        """
        table = io.StringIO()
        names = [field.name for field in fields(Record)]
        # File names may hold commas, quotes and line breaks.
        writer = csv.DictWriter(table, names, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        writer.writerows(asdict(record) for record in self.records)
        text = table.getvalue()
        write_text(folder / MANIFEST_FILE, text)
        write_json(folder / DATASET_FILE, _Header.of(self, text).model_dump(exclude={"schema_"}), "dataset")
        if self.exclusion is not None:
            self.exclusion.write(folder)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a manifest and verify its hash.

        Raises:
            DatasetError: There is no manifest, or it is damaged or altered.
        """
        header_path, table_path = folder / DATASET_FILE, folder / MANIFEST_FILE
        header = _Header.read(header_path)
        text = _read_text(table_path)
        if _hash(text) != header.manifest_sha256:
            msg = f"{table_path}: is not the table that {DATASET_FILE} beside it was written with; {_REMEDY}"
            raise DatasetError(msg)
        try:
            labels = LabelSet(tuple(header.class_names), header.healthy)
            records = tuple(_record(row) for row in csv.DictReader(io.StringIO(text)))
            exclusion = ExcludedScans.read(folder)
            fields_of_set = (header.name, labels, header.groups_from, header.official_split, records, header.masks)
            return cls(folder, *fields_of_set, exclusion)
        except (BrainsliceError, KeyError, ValueError, TypeError, csv.Error) as error:
            msg = f"{table_path}: holds a line that is no record ({error}); {_REMEDY}"
            raise DatasetError(msg) from error


class _Header(BaseModel):
    """The content of ``dataset.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Files of earlier versions have none.
    schema_: str | None = Field(default=None, alias="schema")
    format: Literal[1] = 1
    name: str
    class_names: list[str]
    healthy: str | None
    groups_from: Literal["table", "audit"]
    official_split: bool
    masks: str | None = None
    scans: int
    manifest_sha256: str

    @classmethod
    def of(cls, manifest: Manifest, table: str) -> _Header:
        """Make the header of a manifest with the text of its table."""
        return cls.model_validate(
            {
                "name": manifest.name,
                "class_names": list(manifest.labels.names),
                "healthy": manifest.labels.healthy,
                "groups_from": manifest.groups_from,
                "official_split": manifest.official_split,
                "masks": manifest.masks,
                "scans": len(manifest.records),
                "manifest_sha256": _hash(table),
            }
        )

    @classmethod
    def read(cls, path: Path) -> _Header:
        """Read a header.

        Raises:
            DatasetError: It is damaged.
        """
        try:
            return cls.model_validate_json(_read_text(path))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "the file"
            msg = f"{path}: {key}: {first['msg']}; {_REMEDY}"
            raise DatasetError(msg) from error


def _record(row: dict[str, str]) -> Record:
    texts = {field.name: row[field.name] for field in fields(Record) if field.name != "fold"}
    return Record(**texts, fold=int(row["fold"]))


def _read_text(path: Path) -> str:
    try:
        # Universal newlines would alter file names that hold a carriage return.
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        msg = f"{path}: there is no prepared data set here; run brainslice prepare SOURCE first"
        raise DatasetError(msg) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({error}); {_REMEDY}"
        raise DatasetError(msg) from error


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
