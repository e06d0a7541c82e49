from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from command import call
from drawn_heads import symmetric_head, with_lesion

Capture = pytest.CaptureFixture[str]


def test_prints_the_scores_and_writes_them(tmp_path: Path, capsys: Capture) -> None:
    Image.fromarray(symmetric_head(0)).save(tmp_path / "a.png")
    Image.fromarray(with_lesion(symmetric_head(0))[0]).save(tmp_path / "b.png")
    (tmp_path / "slices.csv").write_text("path,patient,tumour,visit\na.png,p,0,1\nb.png,p,1,1\n")
    assert call("lesion-test", tmp_path, "--output", tmp_path / "found.json") == 0
    assert "auc within patients: " in capsys.readouterr().out
    told = json.loads((tmp_path / "found.json").read_text())
    assert told["source_controlled"][0]["scores"]["auc"]["n"] == 2


def test_a_folder_without_table_ends_in_one_line(tmp_path: Path, capsys: Capture) -> None:
    assert call("lesion-test", tmp_path) == 3
    assert "slices.csv: cannot be read" in capsys.readouterr().err
