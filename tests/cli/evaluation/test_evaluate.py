from __future__ import annotations

import json
from pathlib import Path

import pytest

from brainslice.paths import ProjectPaths
from command import WORDS, call
from stand_in import config, write_bundle_for

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def trained(project: Path) -> Path:
    for protocol in ("clean", "official"):
        settings = config(f"data.protocol={protocol}")
        write_bundle_for(ProjectPaths.of(project, settings), settings)
    return project


def test_tells_the_headlines_and_writes_the_reports(trained: Path, capsys: Capture) -> None:
    assert call("evaluate", "--project-root", trained, *WORDS, "--gradcam", "3") == 0
    said = capsys.readouterr().out
    assert "phantom, clean protocol, test [phantom]" in said
    assert str(trained / "reports") in said
    assert len(list((trained / "reports" / "gradcam").iterdir())) == 3
    told = json.loads((trained / "reports" / "report.json").read_text())
    assert told["test_openings"] == 1
    assert told["analysis"]["errors"]["n"] > 0
    assert "test scans called wrongly; the surest first in errors.png" in said


def test_the_official_protocol_is_reported_apart_and_marked(trained: Path, capsys: Capture) -> None:
    words = ("--project-root", trained, *WORDS, "--protocol", "official", "--gradcam", "0")
    assert call("evaluate", *words) == 0
    assert "[phantom, leaky]" in capsys.readouterr().out
    assert (trained / "reports" / "official" / "report.json").is_file()
    assert not (trained / "reports" / "report.json").exists()


def test_without_a_bundle_it_ends_as_the_error_tree_says(project: Path, capsys: Capture) -> None:
    assert call("evaluate", "--project-root", project, *WORDS) == 4
    assert capsys.readouterr().err.splitlines()[-1].startswith("brainslice: ")


def test_a_negative_number_of_overlays_is_a_usage_error(project: Path) -> None:
    assert call("evaluate", "--project-root", project, "--gradcam", "-1") == 2
