from __future__ import annotations

import dataclasses
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.errors import UnreadableScanError
from brainslice.evaluation.explanation import explain
from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.heat_map import upsample
from brainslice.metrics.evaluation import ScoredSet
from brainslice.paths import ProjectPaths
from brainslice.scan.read import read_scan
from stand_in import BIAS, MAPS, config, copy_project, write_bundle_for


@pytest.fixture(scope="session")
def judged(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> ScoredTestSet:
    root = copy_project(prepared, tmp_path_factory.mktemp("judged") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return evaluate_test_set(ProjectPaths.of(root, config()), config())


def without(judged: ScoredTestSet, label: int, kept: int) -> ScoredTestSet:
    """Leave all but a few test scans of one class out."""
    places = np.flatnonzero(judged.scored.labels == label)[kept:]
    stay = np.setdiff1d(np.arange(len(judged.split.test)), places)
    names = [field.name for field in dataclasses.fields(ScoredSet)]
    scored = ScoredSet(**{name: getattr(judged.scored, name)[stay] for name in names})
    split = dataclasses.replace(judged.split, test=judged.split.test[stay])
    kept_output = {name: getattr(judged.output, name)[stay] for name in ("logits", "class_maps", "features")}
    output = EngineOutput(**kept_output)
    return dataclasses.replace(judged, scored=scored, split=split, output=output)


def with_masks(judged: ScoredTestSet, folder: Path, *, whole: bool) -> ScoredTestSet:
    """Outline the upper half of every head, or the whole picture."""
    folder.mkdir()
    for record in judged.manifest.records:
        scan = read_scan(judged.manifest.root / record.path)
        box = judged.predictor.recipe.frame(scan).box
        outline = np.zeros(scan.pixels.shape, np.uint8)
        outline[: None if whole else (box.top + box.bottom) // 2] = 255
        Image.fromarray(outline).save(folder / f"{Path(record.source).stem}.png")
    return dataclasses.replace(judged, manifest=dataclasses.replace(judged.manifest, masks=str(folder)))


def hot(judged: ScoredTestSet, rows: slice, columns: slice) -> ScoredTestSet:
    """Let all heat lie in a part of the class maps."""
    maps = np.tile(np.array(BIAS, np.float32), (*judged.output.class_maps.shape[:3], 1))
    maps[:, rows, columns] += 1
    return dataclasses.replace(judged, output=dataclasses.replace(judged.output, class_maps=maps))


def classes_of(names: tuple[str, ...]) -> list[str]:
    return [re.fullmatch(r"\d+_true_(.+)_said_(.+)\.png", name)[1] for name in names]


@pytest.mark.parametrize("count", [0, 1, 3, 8, 11])
def test_draws_as_many_overlays_as_asked_by_turns_from_every_class(
    judged: ScoredTestSet, tmp_path: Path, count: int
) -> None:
    explained = explain(judged, tmp_path / "gradcam", count)
    assert sorted(path.name for path in (tmp_path / "gradcam").iterdir()) == sorted(explained.overlays)
    each = Counter(classes_of(explained.overlays)).values()
    assert sum(each) == count
    assert max(each, default=0) - (min(each) if len(each) == 4 else 0) <= 1


@pytest.mark.parametrize("kept", [0, 1])
def test_where_a_class_is_rare_the_others_fill_up(judged: ScoredTestSet, tmp_path: Path, kept: int) -> None:
    explained = explain(without(judged, 2, kept), tmp_path / "gradcam", 8)
    assert len(explained.overlays) == 8
    assert classes_of(explained.overlays).count(judged.manifest.labels.names[2]) == kept


def test_draws_no_more_scans_than_there_are_and_none_twice(judged: ScoredTestSet, tmp_path: Path) -> None:
    explained = explain(judged, tmp_path / "gradcam", 1000)
    assert len(explained.overlays) == len(judged.split.test)
    pictures = {path.read_bytes() for path in (tmp_path / "gradcam").iterdir()}
    distinct = {judged.manifest.records[place].pixel_hash for place in judged.split.test}
    assert len(pictures) >= len(distinct)


def test_overlays_of_an_earlier_evaluation_are_replaced(judged: ScoredTestSet, tmp_path: Path) -> None:
    explain(judged, tmp_path / "gradcam", 5)
    explained = explain(judged, tmp_path / "gradcam", 2)
    assert sorted(path.name for path in (tmp_path / "gradcam").iterdir()) == sorted(explained.overlays)


def test_heat_that_lies_wholly_on_the_tumour_has_a_share_of_one(judged: ScoredTestSet, tmp_path: Path) -> None:
    middle = slice(1, MAPS - 1)
    masked = with_masks(judged, tmp_path / "masks", whole=True)
    found = explain(hot(masked, middle, middle), tmp_path / "gradcam", 0).on_mask
    assert found is not None
    # The narrowest head's padding, which no outline covers, takes the last thousandth.
    assert found.share == pytest.approx(1, abs=1e-3)
    assert (found.n, found.groups) == (len(judged.split.test), len(np.unique(judged.scored.groups)))


def test_heat_that_lies_wholly_elsewhere_has_a_share_of_none(judged: ScoredTestSet, tmp_path: Path) -> None:
    masked = with_masks(judged, tmp_path / "masks", whole=False)
    found = explain(hot(masked, slice(MAPS - 1, MAPS), slice(None)), tmp_path / "gradcam", 0).on_mask
    assert found is not None
    assert found.share == 0
    assert 0.3 < found.area < 0.6


def test_the_share_is_the_heat_of_the_true_class_inside_the_outline(judged: ScoredTestSet, tmp_path: Path) -> None:
    shares = []
    for place, scan in enumerate(judged.split.test):
        record = judged.manifest.records[scan]
        path = Path(str(judged.manifest.masks)) / f"{Path(record.source).stem}.png"
        if not path.exists():
            continue
        seen = read_scan(judged.manifest.root / record.path)
        outline = np.asarray(Image.open(path), np.float32)
        assert outline.shape == seen.pixels.shape
        mask = judged.predictor.recipe.frame(seen).warp(outline, nearest=True) > 0
        label = judged.scored.labels[place]
        heat = upsample(np.maximum(judged.output.class_maps[place, ..., label] - BIAS[label], 0), *mask.shape)
        if heat.sum() > 0 and mask.any():
            shares.append(heat[mask].sum() / heat.sum())
    found = explain(judged, tmp_path / "gradcam", 0).on_mask
    assert found is not None
    assert found.n == len(shares) > 3
    assert found.share == pytest.approx(np.mean(shares), abs=1e-5)
    assert found.interval is None or found.interval.low <= found.share <= found.interval.high
    assert 0 < found.area < 0.5
    assert found.to_json()["share_on_mask"] == found.share


def test_where_no_outline_is_known_nothing_is_said(judged: ScoredTestSet, tmp_path: Path) -> None:
    bare = dataclasses.replace(judged, manifest=dataclasses.replace(judged.manifest, masks=None))
    assert explain(bare, tmp_path / "gradcam", 1).on_mask is None


def test_an_outline_that_cannot_be_read_is_one_line(judged: ScoredTestSet, tmp_path: Path) -> None:
    masked = with_masks(judged, tmp_path / "masks", whole=True)
    for path in (tmp_path / "masks").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(UnreadableScanError, match="the mask cannot be read") as caught:
        explain(masked, tmp_path / "gradcam", 0)
    assert "\n" not in str(caught.value)
