from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainslice.dataset.external_site import read_external_site
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Protocol, make_split
from brainslice.evaluation.labelled_scans import LabelledScans, labelled_site_scans, labelled_test_scans
from other_site import write_site


@pytest.fixture
def manifest(prepared: Path) -> Manifest:
    return Manifest.read(prepared / "data")


@pytest.fixture
def scans(manifest: Manifest) -> LabelledScans:
    return labelled_test_scans(manifest, make_split(manifest, Protocol.CLEAN))


def test_test_scans_are_those_of_the_split(manifest: Manifest, scans: LabelledScans) -> None:
    rows = make_split(manifest, Protocol.CLEAN).test.tolist()
    assert scans.digests == tuple(manifest.records[row].sha256 for row in rows)
    assert [scans.read(number).digest for number in range(len(rows))] == list(scans.digests)
    assert scans.description.startswith(f"phantom, test scans of the clean protocol (all {len(rows)}; ")


def test_a_sample_keeps_each_scan_with_its_class(manifest: Manifest, scans: LabelledScans) -> None:
    drawn, again, other = (scans.sample(5, seed) for seed in (1, 1, 2))
    assert drawn.digests == again.digests != other.digests
    known = {record.sha256: record.label for record in manifest.records}
    for number, digest in enumerate(drawn.digests):
        assert drawn.read(number).digest == digest
        assert drawn.label_set.names[drawn.labels[number]] == known[digest]
    assert f"5 of {len(scans.labels)}, drawn at random" in drawn.description
    assert scans.sample(0, 1) is scans.sample(99, 1) is scans


def test_scans_of_another_site_are_read_with_their_classes(manifest: Manifest, tmp_path: Path) -> None:
    site = read_external_site(write_site(tmp_path / "clinic"), manifest.labels, None)
    scans = labelled_site_scans(site)
    assert np.mean(scans.labels == scans.label_set.index("yes")) == np.mean(site.tumours)
    assert scans.read(0).pixels.ndim == 2
    assert "clinic, scans of another site" in scans.description
