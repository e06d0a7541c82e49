"""The notebooks run, and hold no outputs in the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
TINY = """
import sys
sys.path.insert(0, {tests!r})
import brainslice.training.pipeline
from small_training import small_network
brainslice.training.pipeline.build_network = small_network
"""
"""A few layers in place of the backbone, so that training takes seconds."""


def cells(path: Path) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return read


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_outputs(path: Path) -> None:
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert code
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]


def run(path: Path, folder: Path, before: str = "") -> str:
    nbclient = pytest.importorskip("nbclient", reason="notebooks need requirements-docs.txt")
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    if before:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(before))
    nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.get("text", "") + str(output.get("data", "")) for output in outputs)


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_on_prediction_runs(tmp_path: Path) -> None:
    shown = run(PROJECT / "notebooks" / "predict_and_explain.ipynb", tmp_path)
    assert "verdict:" in shown
    assert "image/png" in shown


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_on_training_runs_and_shows_the_card(tmp_path: Path) -> None:
    before = TINY.format(tests=str(PROJECT / "tests"))
    shown = run(PROJECT / "notebooks" / "train_and_read_the_report.ipynb", tmp_path, before)
    assert "## Test scans" in shown
    assert "report.json" in shown
