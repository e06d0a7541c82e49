from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.dataset.splits.excluded import EXCLUDED_FILE, ExcludedScans
from brainslice.errors import DatasetError


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    exclusion = ExcludedScans("elsewhere", 1, ("train/glioma/a.png", "val/glioma/b.png"))
    exclusion.write(tmp_path)
    assert ExcludedScans.read(tmp_path) == exclusion
    assert exclusion.summary.startswith("1 scans that show a picture of elsewhere and 1 relatives")


def test_no_list_excludes_nothing(tmp_path: Path) -> None:
    assert ExcludedScans.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", '{"against": "x", "copies": "many", "paths": []}'])
def test_a_damaged_list_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / EXCLUDED_FILE).write_text(text)
    with pytest.raises(DatasetError, match="no list of excluded scans"):
        ExcludedScans.read(tmp_path)
