from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.dataset.masks import read_mask
from brainslice.errors import UnreadableScanError
from brainslice.preprocessing import Recipe
from brainslice.scan.read import read_scan
from drawn_heads import symmetric_head, with_lesion


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_mask_of_another_size_covers_its_lesion(tmp_path: Path, *, mirrored: bool) -> None:
    picture, lesion = with_lesion(symmetric_head(0))
    Image.fromarray(picture).save(tmp_path / "scan.png")
    drawn = Image.fromarray(lesion[:, ::-1] if mirrored else lesion).resize((512, 512))
    drawn.save(tmp_path / "mask.png")
    scan, recipe = read_scan(tmp_path / "scan.png"), Recipe()
    mask = read_mask(tmp_path / "mask.png", scan, recipe, mirrored=mirrored)
    bright = recipe(scan) > 240
    assert (mask & bright).sum() > 0.9 * mask.sum()
    assert mask.any()


def test_a_damaged_mask_is_one_clear_error(tmp_path: Path) -> None:
    Image.fromarray(symmetric_head(0)).save(tmp_path / "scan.png")
    (tmp_path / "mask.png").write_bytes(b"none")
    with pytest.raises(UnreadableScanError, match=r"mask\.png: the mask cannot be read"):
        read_mask(tmp_path / "mask.png", read_scan(tmp_path / "scan.png"), Recipe())
    assert np.isfinite(read_scan(tmp_path / "scan.png").pixels).all()
