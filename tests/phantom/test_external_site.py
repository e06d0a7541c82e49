from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.errors import UsageError
from brainslice.phantom import draw_phantom, write_external_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "elsewhere"
    write_external_site(folder, heads_per_kind=6, slices=2, seed=3)
    return folder


def test_half_of_the_heads_have_a_tumour(site: Path) -> None:
    assert {folder.name: len(list(folder.iterdir())) for folder in site.iterdir()} == {"yes": 12, "no": 12}


def test_another_scanner_shows_greyer_margins_and_more_noise(site: Path) -> None:
    seen = np.asarray(Image.open(site / "no" / "no_000_00.jpg"), float)
    drawn = draw_phantom("no_tumor", 0, 0, 100_006).pixels
    assert drawn[0].mean() < 8 < seen[0].mean()
    assert seen.max() < 250


def test_the_same_seed_draws_the_same_site_and_another_another(site: Path, tmp_path: Path) -> None:
    write_external_site(tmp_path / "again", heads_per_kind=6, slices=2, seed=3)
    write_external_site(tmp_path / "other", heads_per_kind=6, slices=2, seed=4)
    name = "yes/yes_003_01.jpg"
    assert (tmp_path / "again" / name).read_bytes() == (site / name).read_bytes()
    assert (tmp_path / "other" / name).read_bytes() != (site / name).read_bytes()


@pytest.mark.parametrize(("heads", "slices"), [(5, 2), (6, 0)])
def test_a_site_too_small_for_folds_is_refused(heads: int, slices: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="6 heads a kind"):
        write_external_site(tmp_path / "site", heads, slices)
