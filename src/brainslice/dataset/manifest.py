"""The list of scans everything else works from: what each is, where it came from, and whom it belongs to."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

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
        pixel_hash: Hash of the decoded grey picture: equal for files that differ only in how they store it.
        label: The class's name.
        group: Scans that share it are related (one patient, or one picture copied) and must stay together.
        split: The data set's own part: ``train``, ``val`` or ``test``.
        fold: The part of the group-clean protocol, from 0.
        source: The path inside the folder or archive it came from.
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
        """Refuse records that point outside the data set or belong nowhere."""
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
        root: The folder that the records' paths start from.
        name: What the set is called; ``phantom`` marks drawn heads.
        labels: The classes.
        groups_from: ``table`` for known patients, ``audit`` for groups found by looking for copies.
        official_split: Whether the source came with its own test folder.
        records: One for each scan, in a fixed order.
        masks: The folder of tumour outlines, where known.
        exclusion: The scans that neither train nor choose, where some were taken out.
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
        """Refuse sets that are empty, list a file twice, or hold classes of another set."""
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
        """Where each scan lies, in the records' order."""
        return [self.root / record.path for record in self.records]

    @property
    def label_indices(self) -> Labels:
        """The true class of each scan, as its place in ``labels``."""
        place = {name: index for index, name in enumerate(self.labels.names)}
        return np.array([place[record.label] for record in self.records], dtype=np.int64)

    @property
    def group_indices(self) -> Groups:
        """A number for each scan's group, from 0 in the order of the groups' names."""
        place = {name: index for index, name in enumerate(sorted({record.group for record in self.records}))}
        return np.array([place[record.group] for record in self.records], dtype=np.int64)

    @property
    def excluded(self) -> Decisions:
        """Whether each scan is kept out of training and validation ``(n,)``."""
        paths = frozenset(self.exclusion.paths if self.exclusion else ())
        return np.array([record.path in paths for record in self.records], dtype=np.bool_)

    @property
    def phantom(self) -> bool:
        """Whether these are drawn heads, about which no medical number can be said."""
        return self.name == PHANTOM_NAME

    @property
    def digest(self) -> str:
        """What the set is in one hash: contents, classes, groups, splits and folds, but no file names."""
        left_out = frozenset(self.exclusion.paths if self.exclusion else ())
        lines = sorted(
            f"{r.sha256},{r.label},{r.group},{r.split},{r.fold}{',excluded' * (r.path in left_out)}\n"
            for r in self.records
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write ``manifest.csv`` and ``dataset.json``, each whole or not at all.

        The second names the hash of the first, so that a crash between the two is noticed when they are read.

        Raises:
            ResourceError: The disk is full.
        """
        table = io.StringIO()
        names = [field.name for field in fields(Record)]
        # All texts in quotes: a file's name may hold a comma, a quote or a line break.
        writer = csv.DictWriter(table, names, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        writer.writerows(asdict(record) for record in self.records)
        text = table.getvalue()
        write_text(folder / MANIFEST_FILE, text)
        write_json(folder / DATASET_FILE, _Header.of(self, text).model_dump())
        if self.exclusion is not None:
            self.exclusion.write(folder)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read what ``write`` wrote, and check that it is whole.

        Raises:
            DatasetError: There is no manifest, or it is not as it was written.
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
            kept_out = ExcludedScans.read(folder)
            facts = (header.name, labels, header.groups_from, header.official_split, records, header.masks)
            return cls(folder, *facts, kept_out)
        except (BrainsliceError, KeyError, ValueError, TypeError, csv.Error) as error:
            msg = f"{table_path}: holds a line that is no record ({error}); {_REMEDY}"
            raise DatasetError(msg) from error


class _Header(BaseModel):
    """What ``dataset.json`` says about the whole set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
        """Describe a manifest whose table reads ``table``."""
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
        """Read a header, or say in one line what is wrong with it."""
        try:
            return cls.model_validate_json(_read_text(path))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            msg = f"{path}: {place}: {first['msg']}; {_REMEDY}"
            raise DatasetError(msg) from error


def _record(row: dict[str, str]) -> Record:
    texts = {field.name: row[field.name] for field in fields(Record) if field.name != "fold"}
    return Record(**texts, fold=int(row["fold"]))


def _read_text(path: Path) -> str:
    try:
        # Plain bytes: universal newlines would alter file names that hold a carriage return.
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        msg = f"{path}: there is no prepared data set here; run brainslice prepare SOURCE first"
        raise DatasetError(msg) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({error}); {_REMEDY}"
        raise DatasetError(msg) from error


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
