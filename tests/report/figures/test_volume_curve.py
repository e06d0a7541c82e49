from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from brainslice.decision.verdict import Verdict
from brainslice.inference.prediction import Prediction
from brainslice.inference.volume import SlicePrediction, VolumePrediction
from brainslice.labels import LabelSet
from brainslice.report.figures.volume_curve import save_curve
from brainslice.scan import Plane


def judged(number: int, shares: tuple[float, ...], marks: tuple[str, ...]) -> SlicePrediction:
    labels = LabelSet()
    answer = Prediction(
        source="head",
        labels=labels,
        probabilities=dict(zip(labels.names, shares, strict=True)),
        threshold=0.5,
        warnings=marks,
        bundle="0",
        network_input=np.zeros((8, 8), np.uint8),
        class_maps=np.zeros((2, 2, 4), np.float32),
        verdict=Verdict.NO_TUMOUR,
    )
    return SlicePrediction(number, answer)


def drawn(folder: Path, peak: int, *marks: str) -> np.ndarray:
    """The curve of ten slices, one of which speaks for a glioma."""
    shares = [(0.9, 0.05, 0.02, 0.03) if number == peak else (0.1, 0.1, 0.7, 0.1) for number in range(10)]
    slices = tuple(judged(number + 5, each, marks) for number, each in enumerate(shares))
    answer = VolumePrediction("head", "0", 24, (1.0, 1.0, 1.0), Plane.AXIAL, slices, (peak - 1, peak + 2), ())
    save_curve(answer, folder / "curve")
    assert (folder / "curve.svg").is_file()
    with Image.open(folder / "curve.png") as picture:
        return np.asarray(picture.convert("RGB"), dtype=int)


def test_the_curve_follows_its_numbers(tmp_path: Path) -> None:
    early, late = drawn(tmp_path / "early", 2), drawn(tmp_path / "late", 7)
    assert early.shape == late.shape
    half = early.shape[1] // 2
    changed = np.abs(early - late).sum(axis=2) > 30
    assert changed[:, :half].any()
    assert changed[:, half:].any()


def test_a_bundle_of_drawn_heads_stamps_its_curve(tmp_path: Path) -> None:
    plain, stamped = drawn(tmp_path / "plain", 4), drawn(tmp_path / "stamped", 4, "phantom")
    vermilion = (213, 94, 0)
    share = [(np.abs(each - vermilion).sum(axis=2) < 30).mean() for each in (plain, stamped)]
    assert share[1] > share[0] + 0.01
