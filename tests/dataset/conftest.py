"""Drawn sets that the tests of this package share."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from brainslice.dataset.discovery.folders import find_scans
from brainslice.dataset.duplicates.fingerprint import Fingerprint
from brainslice.dataset.duplicates.near_duplicates import (
    DuplicateKind,
    DuplicatePair,
    connected_groups,
    find_duplicates,
)
from brainslice.dataset.splits import groups
from brainslice.dataset.splits.groups import hash_scan
from brainslice.labels import LabelSet
from brainslice.phantom import write_phantoms
from brainslice.progress import Progress, silent


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five heads of each kind, two slices each, with planted copies; not to be written to."""
    folder = tmp_path_factory.mktemp("drawn") / "heads"
    write_phantoms(folder, patients_per_class=5, slices=2)
    return folder


@pytest.fixture
def source(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the drawn set that a test may spoil."""
    return Path(shutil.copytree(drawn, tmp_path / "source"))


@pytest.fixture(scope="session")
def group_of(drawn: Path) -> dict[str, int]:
    """The groups that looking for copies finds in the drawn set, by the files' hashes."""
    seen, _ = hash_scan(find_scans(drawn, LabelSet()).scans, silent)
    groups = connected_groups(len(seen), find_duplicates([scan.fingerprint for scan in seen]))
    return {scan.fingerprint.sha256: int(group) for scan, group in zip(seen, groups, strict=True)}


@pytest.fixture
def looking_for_copies_once(monkeypatch: pytest.MonkeyPatch, group_of: dict[str, int]) -> None:
    """Remember what copies there are among the drawn heads: looking for them takes most of a test's time."""

    def remember(sketches: Sequence[Fingerprint], _: Progress) -> tuple[DuplicatePair, ...]:
        first_of: dict[int, int] = {}
        pairs = [(first_of.setdefault(group_of[each.sha256], place), place) for place, each in enumerate(sketches)]
        return tuple(
            DuplicatePair(first, second, DuplicateKind.NEAR, 1.0) for first, second in pairs if first != second
        )

    monkeypatch.setattr(groups, "find_duplicates", remember)
