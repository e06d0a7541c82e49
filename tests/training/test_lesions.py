from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainslice.config import LesionConfig
from brainslice.counterfactual import OutlinedScans
from brainslice.progress import silent
from brainslice.training import lesions
from brainslice.training.lesions import TrainingImages, add_counterfactuals

SIZE, HEALTHY = 32, 2


def drawn_scans() -> OutlinedScans:
    """Six symmetric heads; a lesion in the left half of those of class 0, of which the last does not train."""
    inputs, outlines = np.zeros((6, SIZE, SIZE), np.uint8), np.zeros((6, SIZE, SIZE), np.bool_)
    inputs[:, 4:28, 4:28] = np.random.default_rng(0).integers(60, 90, (24, 12)).repeat(2, axis=1)[:, ::-1]
    inputs[:, 4:28, 16:28] = inputs[:, 4:28, 4:16][:, :, ::-1]
    outlines[:3, 12:18, 6:11] = True
    inputs[outlines] = 250
    labels = np.array([0, 0, 0, HEALTHY, HEALTHY, HEALTHY])
    return OutlinedScans(inputs, np.packbits(outlines, axis=-1), labels, HEALTHY, np.array([0, 1, 3, 4]))


def test_plain_images_are_the_scans_with_one_channel() -> None:
    scans = drawn_scans()
    plain = TrainingImages.plain(scans.inputs, scans.labels, scans.train)
    assert len(plain) == 6
    np.testing.assert_array_equal(plain.batch(np.array([3, 0]))[..., 0], scans.inputs[[3, 0]])
    assert plain.batch(np.array([1])).shape == (1, SIZE, SIZE, 1)


def test_counterfactual_images_follow_the_scans_and_train(tmp_path: Path) -> None:
    scans = drawn_scans()
    found = add_counterfactuals(scans, LesionConfig(patches=0.9), 1, tmp_path, silent)
    extra = len(found) - 6
    assert extra > 0
    assert found.rows.tolist() == [*scans.train.tolist(), *range(6, 6 + extra)]
    assert found.known.all()
    both = found.batch(np.array([0, 6]))
    np.testing.assert_array_equal(both[0, ..., 0], scans.inputs[0])
    np.testing.assert_array_equal(both[0, ..., 1] > 0, scans.lesion(0))
    healthy = found.labels == HEALTHY
    assert found.outlines is not None
    assert not found.outlines[healthy].any()


def test_tumour_without_mask_is_not_supervised_by_position(tmp_path: Path) -> None:
    scans = drawn_scans()
    scans.outlines[1] = 0
    found = add_counterfactuals(scans, LesionConfig(twins=False, patches=0.0), 1, tmp_path, silent)
    assert found.known.tolist() == [True, False, True, True, True, True]


def test_cache_depends_on_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans, settings = drawn_scans(), LesionConfig(patches=0.9)
    first = add_counterfactuals(scans, settings, 1, tmp_path, silent)
    other = add_counterfactuals(scans, settings, 2, tmp_path, silent)
    assert first.digest != other.digest

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(lesions, "make_counterfactuals", never)
    again = add_counterfactuals(scans, settings, 1, tmp_path, silent)
    np.testing.assert_array_equal(again.extra, first.extra)
    np.testing.assert_array_equal(again.labels, first.labels)
