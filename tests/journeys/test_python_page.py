"""The examples of the page on the life cycle, run one after another on drawn heads."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from brainslice.lazy import is_installed
from hospital import head, nifti
from small_training import rebuilt_network, small_network

DOCS = Path(__file__).resolve().parents[2] / "docs"
ENGLISH = (DOCS / "en/python.md").read_text(encoding="utf-8")


def examples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.usefixtures("eager_functions", "blank_figures")
@pytest.mark.timeout(1800)
def test_the_examples_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A few layers instead of the backbone, so that the five trainings take seconds.
    monkeypatch.setattr("brainslice.training.pipeline.build_network", small_network)
    monkeypatch.setattr("brainslice.training.adaptation.data.build_network", rebuilt_network)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "head.nii.gz").write_bytes(nifti(head(24).T.astype(np.int16)))
    names: dict[str, object] = {"__name__": "example"}
    for number, code in enumerate(examples(ENGLISH)):
        if "to_dataframe" in code and not is_installed("pandas"):
            continue
        exec(compile(code, f"python.md, block {number}", "exec"), names)  # noqa: S102 - our own documents
    printed = capsys.readouterr().out
    assert "<EvaluationResult n=" in printed
    assert "(saved)" in printed
    assert (tmp_path / "overlay.png").is_file()
    assert {path.name for path in (tmp_path / "project" / "models").iterdir()} >= {"bundle", "best.keras"}
