from __future__ import annotations

import json
from pathlib import Path

import pytest

from brainslice.cli.evaluation.validate import find_bundles
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_external_site
from command import WORDS, call
from stand_in import config, write_bundle_for

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def places(project: Path) -> ProjectPaths:
    found = ProjectPaths.of(project, config())
    write_bundle_for(found, config())
    write_external_site(project / "data" / "external_navoneel", heads_per_kind=6, slices=1, seed=3)
    return found


def test_the_project_s_bundle_is_scored_on_the_external_set(places: ProjectPaths, capsys: Capture) -> None:
    assert call("validate", "--project-root", places.root, *WORDS) == 0
    said = capsys.readouterr().out
    assert "Scans of another site: external_navoneel" in said
    assert "source threshold" in said
    told = json.loads((places.reports / "external" / "external_navoneel.json").read_text())
    assert told["n"] == 12


def test_a_folder_and_several_bundles_can_be_named(places: ProjectPaths, tmp_path: Path, capsys: Capture) -> None:
    write_external_site(tmp_path / "clinic", heads_per_kind=6, slices=1, seed=4)
    words = ("--data", tmp_path / "clinic", "--bundle", places.bundle, "--bundle", places.bundle)
    assert call("validate", "--project-root", places.root, *words, *WORDS) == 0
    assert capsys.readouterr().out.count("source threshold") >= 2
    assert (places.reports / "external" / "clinic.md").is_file()


def test_without_a_set_it_says_what_is_missing(project: Path, capsys: Capture) -> None:
    places = ProjectPaths.of(project, config())
    write_bundle_for(places, config())
    assert call("validate", "--project-root", project, *WORDS) == 3
    assert "external_navoneel" in capsys.readouterr().err


def test_an_adapted_bundle_is_set_beside_the_base_by_itself(places: ProjectPaths) -> None:
    data = places.root / "data" / "external_navoneel"
    assert find_bundles(places, data) == [places.bundle]
    (places.models / "adapted_navoneel").mkdir()
    assert find_bundles(places, data) == [places.bundle, places.models / "adapted_navoneel"]
