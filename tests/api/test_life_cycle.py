from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import brainslice
from brainslice.bundle.store import open_bundle
from brainslice.errors import MissingExtraError, UnreadableScanError, UsageError
from brainslice.inference.default_bundle import DEFAULT_BUNDLE
from brainslice.inference.prediction import Refusal
from brainslice.paths import ProjectPaths
from stand_in import FOLDS, SIZE, config, prepare_project, write_bundle_for

SETTINGS = {"data.image_size": SIZE, "data.folds": FOLDS, "model.weights": "none"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = prepare_project(tmp_path_factory.mktemp("api") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


@pytest.fixture
def scan(trained: Path) -> Path:
    return min((trained / "source" / "Testing" / "glioma").iterdir())


@pytest.fixture
def predictor(trained: Path) -> brainslice.Predictor:
    return brainslice.Predictor.open(str(trained / "models" / "bundle"))


def test_dir_lists_the_public_names_and_every_one_of_them_loads() -> None:
    assert set(dir(brainslice)) == set(brainslice.__all__)
    assert all(getattr(brainslice, name) is not None for name in brainslice.__all__)


def test_prepare_and_audit_take_strings(trained: Path, tmp_path: Path) -> None:
    prepared = brainslice.prepare(str(trained / "source"), str(tmp_path), config={"data.folds": FOLDS}, copy=True)
    assert len(prepared.manifest.records) > 0
    assert brainslice.audit(str(trained / "source")).summary_lines()


def test_every_kind_of_source_gives_the_same_prediction(predictor: brainslice.Predictor, scan: Path) -> None:
    with Image.open(scan) as opened:
        opened.load()
        pixels = np.asarray(opened.convert("L"))
        sources = [str(scan), scan, scan.read_bytes(), opened, pixels, np.stack([pixels] * 3, axis=-1)]
        results = [predictor.predict(source) for source in sources]
    expected = list(results[0].probabilities.values())
    for result in results[1:]:
        assert list(result.probabilities.values()) == pytest.approx(expected, abs=1e-4)
    assert [result.source for result in results] == [scan.name, scan.name, "bytes", "image", "array", "array"]


@pytest.mark.parametrize("values", [np.zeros((2, 3, 4, 5)), np.zeros((4, 4), dtype=complex), np.zeros((4, 4, 7))])
def test_an_array_that_is_no_slice_is_refused(predictor: brainslice.Predictor, values: np.ndarray) -> None:
    with pytest.raises(UnreadableScanError, match=r"must be numbers \(h, w\)"):
        predictor.predict(values)


def test_a_prediction_shows_its_heat_map_and_itself(predictor: brainslice.Predictor, scan: Path) -> None:
    result = predictor.predict(scan)
    assert result.heat_map().shape == (SIZE, SIZE)
    assert result.overlay().size == (SIZE, SIZE)
    assert repr(result).startswith(f"<Prediction {scan.name}: ")
    assert "data:image/png;base64," in result._repr_html_()
    assert len(repr(predictor)) < 200


def test_many_scans_become_a_list_with_refusals(trained: Path, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    bundle = trained / "models" / "bundle"
    found = brainslice.predict_many([scan.parent, tmp_path, np.zeros((8, 8))], bundle=bundle)
    assert len(found) == len(list(scan.parent.iterdir())) + 2
    assert sum(isinstance(each, Refusal) for each in found) == 1
    assert "1 refused" in repr(found)
    assert found._repr_html_().count("<tr>") == len(found) + 1
    assert len(brainslice.predict_many(str(scan), bundle=bundle)) == 1


def test_a_data_frame_needs_pandas_and_says_so(trained: Path, scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = brainslice.predict_many(scan, bundle=trained / "models" / "bundle")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'brainslice\[pandas\]'"):
        found.to_dataframe()


def test_a_data_frame_has_a_column_for_each_class(trained: Path, scan: Path) -> None:
    pytest.importorskip("pandas")
    frame = brainslice.predict_many(scan, bundle=trained / "models" / "bundle").to_dataframe()
    assert {"source", "class", "probability_glioma", "verdict"} <= set(frame.columns)


def test_a_threshold_is_written_only_where_that_is_asked_for(trained: Path) -> None:
    bundle = trained / "models" / "bundle"
    before = open_bundle(bundle).info.digest
    found = brainslice.find_threshold(0.8, str(trained), config=SETTINGS)
    assert (open_bundle(bundle).info.digest, found.saved) == (before, False)
    saved = brainslice.find_threshold(0.8, trained, config=SETTINGS, save=True)
    assert saved.bundle.info.digest == open_bundle(bundle).info.digest != before
    name = saved.points[0].point.name
    assert name in repr(saved)
    assert brainslice.use_operating_point(str(bundle), name).info.threshold == saved.points[0].point.threshold


def test_the_bundle_that_ships_is_never_changed(trained: Path) -> None:
    with pytest.raises(UsageError, match="never changed"):
        brainslice.find_threshold(0.9, trained, bundle=DEFAULT_BUNDLE, config=SETTINGS, save=True)
    with pytest.raises(UsageError, match="never changed"):
        brainslice.use_operating_point(DEFAULT_BUNDLE, "youden")


def test_calibrate_recovers_a_temperature() -> None:
    draws = np.random.default_rng(3)
    logits = draws.normal(size=(4000, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([draws.choice(3, p=row) for row in probabilities])
    assert brainslice.calibrate(2.0 * logits, labels).value == pytest.approx(2.0, rel=0.15)


BLOCKED = """
MISSING = "tensorflow keras scipy sklearn matplotlib fastapi pyarrow kagglehub".split()
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in MISSING:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
from brainslice.cli.main import main
for words in sys.argv[1:]:
    try:
        main(*words.split())
    except SystemExit as end:
        print(words.split()[0], end.code, file=sys.stderr)
"""
NEEDS = {
    **dict.fromkeys(
        ("train", "evaluate", "crossval", "ensemble", "adapt", "validate", "threshold", "summary"), "train"
    ),
    **dict.fromkeys(("run", "demo"), "train"),
    "download nickparvar": "train",
    "serve": "serve",
}


def test_a_light_install_names_the_missing_extra_before_any_work(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BLOCKED, *NEEDS]
    environment = {**os.environ, "PYTHONPATH": str(Path(brainslice.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    lines = done.stderr.splitlines()
    assert len(lines) == 2 * len(NEEDS), done.stderr
    for (words, extra), message, ended in zip(NEEDS.items(), lines[::2], lines[1::2], strict=True):
        assert f"pip install 'brainslice[{extra}]'" in message, words
        assert ended == f"{words.split()[0]} 2"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("predict", "--help"), ("--help",), ("audit", "SOURCE"), ("predict", "SOURCE")])
def test_no_command_fails_of_a_character(trained: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = tmp_path / "скан"
    folder.mkdir()
    source = next((trained / "source" / "Testing" / "glioma").iterdir())
    (folder / f"łódź{source.suffix}").write_bytes(source.read_bytes())
    given = [str(folder) if word == "SOURCE" else word for word in words]
    command = [sys.executable, "-m", "brainslice.cli.main", *given]
    environment = {"PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(Path(brainslice.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
