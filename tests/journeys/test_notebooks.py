"""The notebooks run, and hold no outputs in the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from small_training import small_network

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return read


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_outputs(path: Path) -> None:
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert code
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_on_prediction_runs(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="notebooks need requirements-docs.txt")
    import nbformat

    notebook = nbformat.read(PROJECT / "notebooks" / "predict_and_explain.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = "".join(output.get("text", "") + str(output.get("data", "")) for output in outputs)
    assert "verdict:" in shown
    assert "image/png" in shown


@pytest.mark.slow
@pytest.mark.usefixtures("eager_functions", "blank_figures")
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_on_training_runs_and_shows_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In this process, which has loaded TensorFlow, and with a few layers in place of the backbone.
    monkeypatch.setattr("brainslice.training.pipeline.build_network", small_network)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "notebook"}
    for cell in cells(PROJECT / "notebooks" / "train_and_read_the_report.ipynb"):
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102 - our own notebook
    shown = capsys.readouterr().out
    assert "## Test scans" in shown
    assert "report.json" in shown
