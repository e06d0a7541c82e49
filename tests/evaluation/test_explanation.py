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
def scored_set(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> ScoredTestSet:
    root = copy_project(prepared, tmp_path_factory.mktemp("scored_set") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return evaluate_test_set(ProjectPaths.of(root, config()), config())


def without(scored_set: ScoredTestSet, label: int, kept: int) -> ScoredTestSet:
    """Leave all but a few test scans of one class out."""
    paths = np.flatnonzero(scored_set.scored.labels == label)[kept:]
    stay = np.setdiff1d(np.arange(len(scored_set.split.test)), paths)
    names = [field.name for field in dataclasses.fields(ScoredSet)]
    scored = ScoredSet(**{name: getattr(scored_set.scored, name)[stay] for name in names})
    split = dataclasses.replace(scored_set.split, test=scored_set.split.test[stay])
    kept_output = {name: getattr(scored_set.output, name)[stay] for name in ("logits", "class_maps", "features")}
    output = EngineOutput(**kept_output)
    return dataclasses.replace(scored_set, scored=scored, split=split, output=output)


def with_masks(scored_set: ScoredTestSet, folder: Path, *, whole: bool) -> ScoredTestSet:
    """Outline the upper half of every head, or the whole picture."""
    folder.mkdir()
    for record in scored_set.manifest.records:
        scan = read_scan(scored_set.manifest.root / record.path)
        box = scored_set.predictor.recipe.frame(scan).box
        outline = np.zeros(scan.pixels.shape, np.uint8)
        outline[: None if whole else (box.top + box.bottom) // 2] = 255
        Image.fromarray(outline).save(folder / f"{Path(record.source).stem}.png")
    return dataclasses.replace(scored_set, manifest=dataclasses.replace(scored_set.manifest, masks=str(folder)))


def hot(scored_set: ScoredTestSet, rows: slice, columns: slice) -> ScoredTestSet:
    """Set the class maps to zero outside one part."""
    maps = np.tile(np.array(BIAS, np.float32), (*scored_set.output.class_maps.shape[:3], 1))
    maps[:, rows, columns] += 1
    return dataclasses.replace(scored_set, output=dataclasses.replace(scored_set.output, class_maps=maps))


def classes_of(names: tuple[str, ...]) -> list[str]:
    return [re.fullmatch(r"\d+_true_(.+)_said_(.+)\.png", name)[1] for name in names]


@pytest.mark.parametrize("count", [0, 1, 3, 8, 11])
def test_overlays_are_balanced_over_classes(scored_set: ScoredTestSet, tmp_path: Path, count: int) -> None:
    explained = explain(scored_set, tmp_path / "gradcam", count)
    assert sorted(path.name for path in (tmp_path / "gradcam").iterdir()) == sorted(explained.overlays)
    each = Counter(classes_of(explained.overlays)).values()
    assert sum(each) == count
    assert max(each, default=0) - (min(each) if len(each) == 4 else 0) <= 1


@pytest.mark.parametrize("kept", [0, 1])
def test_overlays_of_other_classes_replace_a_rare_class(scored_set: ScoredTestSet, tmp_path: Path, kept: int) -> None:
    explained = explain(without(scored_set, 2, kept), tmp_path / "gradcam", 8)
    assert len(explained.overlays) == 8
    assert classes_of(explained.overlays).count(scored_set.manifest.labels.names[2]) == kept


def test_overlays_are_of_distinct_scans(scored_set: ScoredTestSet, tmp_path: Path) -> None:
    explained = explain(scored_set, tmp_path / "gradcam", 1000)
    assert len(explained.overlays) == len(scored_set.split.test)
    pictures = {path.read_bytes() for path in (tmp_path / "gradcam").iterdir()}
    distinct = {scored_set.manifest.records[place].pixel_hash for place in scored_set.split.test}
    assert len(pictures) >= len(distinct)


def test_overlays_of_an_earlier_evaluation_are_replaced(scored_set: ScoredTestSet, tmp_path: Path) -> None:
    explain(scored_set, tmp_path / "gradcam", 5)
    explained = explain(scored_set, tmp_path / "gradcam", 2)
    assert sorted(path.name for path in (tmp_path / "gradcam").iterdir()) == sorted(explained.overlays)


def test_heat_inside_the_mask_has_share_one(scored_set: ScoredTestSet, tmp_path: Path) -> None:
    middle = slice(1, MAPS - 1)
    masked = with_masks(scored_set, tmp_path / "masks", whole=True)
    found = explain(hot(masked, middle, middle), tmp_path / "gradcam", 0).on_mask
    assert found is not None
    # The narrowest head's padding, which no outline covers, takes the last thousandth.
    assert found.share == pytest.approx(1, abs=1e-3)
    assert (found.n, found.groups) == (len(scored_set.split.test), len(np.unique(scored_set.scored.groups)))


def test_heat_outside_the_mask_has_share_zero(scored_set: ScoredTestSet, tmp_path: Path) -> None:
    masked = with_masks(scored_set, tmp_path / "masks", whole=False)
    found = explain(hot(masked, slice(MAPS - 1, MAPS), slice(None)), tmp_path / "gradcam", 0).on_mask
    assert found is not None
    assert found.share == 0
    assert 0.3 < found.area < 0.6


def test_share_is_of_the_true_class_inside_the_mask(scored_set: ScoredTestSet, tmp_path: Path) -> None:
    shares = []
    for place, scan in enumerate(scored_set.split.test):
        record = scored_set.manifest.records[scan]
        path = Path(str(scored_set.manifest.masks)) / f"{Path(record.source).stem}.png"
        if not path.exists():
            continue
        seen = read_scan(scored_set.manifest.root / record.path)
        outline = np.asarray(Image.open(path), np.float32)
        assert outline.shape == seen.pixels.shape
        mask = scored_set.predictor.recipe.frame(seen).warp(outline, nearest=True) > 0
        label = scored_set.scored.labels[place]
        heat = upsample(np.maximum(scored_set.output.class_maps[place, ..., label] - BIAS[label], 0), *mask.shape)
        if heat.sum() > 0 and mask.any():
            shares.append(heat[mask].sum() / heat.sum())
    found = explain(scored_set, tmp_path / "gradcam", 0).on_mask
    assert found is not None
    assert found.n == len(shares) > 3
    assert found.share == pytest.approx(np.mean(shares), abs=1e-5)
    assert found.interval is None or found.interval.low <= found.share <= found.interval.high
    assert 0 < found.area < 0.5
    assert found.to_json()["share_on_mask"] == found.share


def test_no_share_without_masks(scored_set: ScoredTestSet, tmp_path: Path) -> None:
    bare = dataclasses.replace(scored_set, manifest=dataclasses.replace(scored_set.manifest, masks=None))
    assert explain(bare, tmp_path / "gradcam", 1).on_mask is None


def test_unreadable_mask_is_one_error(scored_set: ScoredTestSet, tmp_path: Path) -> None:
    masked = with_masks(scored_set, tmp_path / "masks", whole=True)
    for path in (tmp_path / "masks").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(UnreadableScanError, match="the mask cannot be read") as caught:
        explain(masked, tmp_path / "gradcam", 0)
    assert "\n" not in str(caught.value)
