from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainslice.cli.prediction_text import print_prediction, print_row
from brainslice.decision.verdict import Reason, Verdict
from brainslice.inference.prediction import Prediction
from brainslice.labels import LabelSet
from brainslice.scan.types import Remark, RemarkCode

Capture = pytest.CaptureFixture[str]


def prediction(verdict: Verdict, *reasons: Reason) -> Prediction:
    labels = LabelSet()
    return Prediction(
        source="a.png",
        labels=labels,
        probabilities=dict(zip(labels.names, (0.7, 0.1, 0.15, 0.05), strict=True)),
        threshold=0.5,
        warnings=("phantom",),
        bundle="0" * 64,
        network_input=np.zeros((8, 8), np.uint8),
        class_maps=np.zeros((2, 2, 4), np.float32),
        verdict=verdict,
        reasons=reasons,
    )


def test_verdict_is_printed_first(capsys: Capture) -> None:
    print_prediction(Path("a.png"), prediction(Verdict.TUMOUR))
    assert capsys.readouterr().out.splitlines() == [
        "tumour: glioma",
        "  scan        a.png",
        "  P(tumour)   0.850, threshold 0.5",
        "  glioma      0.700",
        "  no_tumor    0.150",
        "  meningioma  0.100",
        "  pituitary   0.050",
        "  model       [phantom]",
    ]


def test_rejected_images_have_no_class(capsys: Capture) -> None:
    rejected = prediction(Verdict.REFER, Reason.NO_HEAD)
    print_prediction(Path("a.png"), rejected)
    print_row(Path("a.png"), rejected)
    printed = capsys.readouterr().out
    assert printed.startswith("refer to a person\n")
    assert Reason.NO_HEAD.message in printed
    assert not any(name in printed for name in (*rejected.labels.names, "0.7", "0.85"))
    assert (rejected.to_json()["class"], rejected.to_json()["tumour"]) == (None, None)


def test_rows_of_several_scans_are_aligned(capsys: Capture) -> None:
    print_row(Path("a.png"), prediction(Verdict.TUMOUR))
    print_row(Path("b.png"), prediction(Verdict.REFER, Reason.NEAR_THRESHOLD))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("tumour     P(tumour) 0.850  glioma")
    assert first.index("a.png") == second.index("b.png")


def test_remarks_on_the_file_are_printed(capsys: Capture) -> None:
    remarked = replace(prediction(Verdict.TUMOUR), remarks=(Remark(RemarkCode.WINDOW, "the window was not used"),))
    print_prediction(Path("a.png"), remarked)
    print_row(Path("a.png"), remarked)
    *fields, row = capsys.readouterr().out.splitlines()
    assert "  note        the window was not used" in fields
    assert row.endswith("; the window was not used")
