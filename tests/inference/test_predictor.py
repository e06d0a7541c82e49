from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from brainslice import lazy
from brainslice.bundle.store import write_bundle
from brainslice.bundle.types import BundleDraft
from brainslice.errors import BundleError, MissingExtraError, UnreadableScanError, UsageError
from brainslice.inference.overlay import save_overlay
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.predictor import Predictor
from brainslice.labels import LabelSet
from brainslice.preprocessing.recipe import Recipe
from brainslice.scan.read import read_scan
from brainslice.scan.types import RemarkCode
from hospital import image, written

DrawScan = Callable[[int], Path]
write_graph: Callable[..., Path] = runpy.run_path(str(Path(__file__).with_name("conftest.py")))["write_graph"]

PREDICT = """
import json, sys
from pathlib import Path
from brainslice.inference.predictor import Predictor

answer = Predictor.open(Path(sys.argv[1])).predict(Path(sys.argv[2]))
assert answer.heat_map().shape == answer.network_input.shape
heavy = {"keras", "tensorflow", "sklearn", "scipy", "matplotlib", "onnx", "torch", "jax", "pandas"}
print(json.dumps({"answer": answer.to_json(), "heavy": sorted(heavy & set(sys.modules))}))
"""


def answers(predictor: Predictor, paths: list[Path]) -> list[Prediction]:
    found = list(predictor.predict_many(paths))
    assert all(isinstance(answer, Prediction) for answer in found)
    return [answer for answer in found if isinstance(answer, Prediction)]


def bundle_with(draft: BundleDraft, graph: Path, folder: Path, **changes: object) -> Path:
    return write_bundle(folder / "bundle", draft.model_copy(update=changes), {"model.onnx": graph}).folder


def test_probabilities_are_the_softmax_of_scaled_logits(predictor: Predictor, draw_scan: DrawScan) -> None:
    path = draw_scan(0)
    answer = predictor.predict(path)
    grey = Recipe(size=64)(read_scan(path)).astype(np.float64)
    weights, bias = np.array([0.03, -0.02, 0.01, -0.01]), np.array([0.5, 1.0, -0.5, 0.25])
    exponentials = np.exp((grey.mean() * weights + bias) / 1.7)
    expected = exponentials / exponentials.sum()
    np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=1e-5)
    assert tuple(answer.probabilities) == LabelSet().names
    assert answer.tumour_probability == pytest.approx(1 - expected[2], abs=1e-5)
    np.testing.assert_array_equal(answer.network_input, grey)


def test_heat_map_is_the_positive_class_map(predictor: Predictor, draw_scan: DrawScan) -> None:
    answer = predictor.predict(draw_scan(1))
    cells = answer.network_input.astype(np.float64).reshape(4, 16, 4, 16).mean(axis=(1, 3))
    np.testing.assert_allclose(answer.class_maps[..., 0], cells * 0.03 / 16, atol=1e-5)
    assert not answer.class_maps[..., 1].any(), "grey values speak against this class everywhere"


def test_batched_predictions_equal_single_predictions(predictor: Predictor, draw_scan: DrawScan) -> None:
    paths = [draw_scan(seed) for seed in range(35)]
    for path, among_many in zip(paths, answers(predictor, paths), strict=True):
        alone = predictor.predict(path)
        assert alone.source == among_many.source == path.name
        assert alone.probabilities == pytest.approx(among_many.probabilities, abs=1e-6)
        np.testing.assert_allclose(alone.class_maps, among_many.class_maps, atol=1e-6)


def test_predict_many_refuses_unreadable_files(predictor: Predictor, draw_scan: DrawScan, tmp_path: Path) -> None:
    text = tmp_path / "report.png"
    text.write_text("no picture", encoding="utf-8")
    paths = [text, draw_scan(0), tmp_path / "gone.png", *(draw_scan(seed) for seed in range(1, 33)), text]
    found = list(predictor.predict_many(paths))
    assert [answer.source for answer in found] == [path.name for path in paths]
    refused = {place: answer for place, answer in enumerate(found) if isinstance(answer, Refusal)}
    assert sorted(refused) == [0, 2, 35]
    for answer in refused.values():
        assert answer.source in answer.reason
        assert "\n" not in answer.reason


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_file_names_are_printed_as_one_line_of_utf_8(predictor: Predictor, draw_scan: DrawScan) -> None:
    odd = draw_scan(0).rename(os.fsdecode(os.fsencode(draw_scan(0).parent) + b"/a\n\xff.png"))
    for answer in (predictor.predict(odd), *predictor.predict_many([odd, odd.with_name("\udcfe.png")])):
        assert answer.source.isprintable()
        assert json.dumps(answer.to_json(), ensure_ascii=False).encode("utf-8")


def test_predict_many_with_unreadable_files_only(predictor: Predictor, tmp_path: Path) -> None:
    found = list(predictor.predict_many([tmp_path / "a.png", tmp_path / "b.png"]))
    assert [type(answer) for answer in found] == [Refusal, Refusal]
    assert list(predictor.predict_many([])) == []


def test_predict_raises_for_an_unreadable_file(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(UnreadableScanError, match=r"gone\.png"):
        predictor.predict(tmp_path / "gone.png")


def test_progress_counts_every_scan(predictor: Predictor, draw_scan: DrawScan) -> None:
    heard: list[tuple[int, int]] = []
    list(predictor.predict_many([draw_scan(0)] * 40, lambda _, done, total: heard.append((done, total))))
    assert heard == [(32, 40), (40, 40)]


def test_score_does_not_depend_on_batches(predictor: Predictor, tmp_path: Path) -> None:
    inputs = np.random.default_rng(0).integers(0, 256, size=(70, 64, 64), dtype=np.uint8)
    stored = np.memmap(tmp_path / "decoded", dtype=np.uint8, mode="w+", shape=inputs.shape)
    stored[:] = inputs
    heard: list[tuple[int, int]] = []
    output = predictor.score(stored, lambda _, done, total: heard.append((done, total)))
    at_once = predictor.engine.run(inputs)
    np.testing.assert_allclose(output.logits, at_once.logits, atol=1e-6)
    np.testing.assert_allclose(output.class_maps, at_once.class_maps, atol=1e-6)
    assert heard == [(32, 70), (64, 70), (70, 70)]


def test_score_of_no_inputs(predictor: Predictor) -> None:
    output = predictor.score(np.zeros((0, 64, 64), dtype=np.uint8))
    assert (output.logits.shape, output.class_maps.shape) == ((0, 4), (0, 4, 4, 4))


def test_threshold_of_bundle_and_argument(bundle: Path, draw_scan: DrawScan) -> None:
    path = draw_scan(0)
    own = Predictor.open(bundle).predict(path)
    assert own.threshold == 0.5
    for threshold, tumour in ((0.0, True), (1.0, False)):
        other = Predictor.open(bundle, threshold=threshold).predict(path)
        assert (other.threshold, other.tumour) == (threshold, tumour)
        assert other.probabilities == own.probabilities


@pytest.mark.parametrize("threshold", [-0.1, 65.0, float("nan")])
def test_invalid_threshold_is_refused(bundle: Path, threshold: float) -> None:
    with pytest.raises(UsageError, match="threshold must be a probability from 0 to 1"):
        Predictor.open(bundle, threshold=threshold)


def test_prediction_has_warnings_and_digest_of_the_bundle(predictor: Predictor, draw_scan: DrawScan) -> None:
    told = predictor.predict(draw_scan(0)).to_json()
    assert told["warnings"] == ["phantom", "leaky"]
    assert told["bundle"] == predictor.bundle.info.digest


def test_altered_graph_is_refused(draft: BundleDraft, graph: Path, tmp_path: Path) -> None:
    folder = bundle_with(draft, graph, tmp_path)
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(BundleError, match="sha256 must be"):
        Predictor.open(folder)


def test_recipe_of_another_version_raises(draft: BundleDraft, graph: Path, tmp_path: Path) -> None:
    folder = bundle_with(draft, graph, tmp_path, recipe=draft.recipe | {"sharpen": True})
    with pytest.raises(BundleError, match=r"its preprocessing is invalid .*sharpen"):
        Predictor.open(folder)


def test_bundle_with_a_step_whose_library_is_missing_is_refused_when_opened(
    draft: BundleDraft, graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bundle_with(draft, graph, tmp_path, recipe=draft.recipe | {"contrast": "clahe"})
    monkeypatch.setattr(lazy, "is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match=r"contrast: clahe\) needs cv2; .*pip install 'brainslice\[clahe\]'$"):
        Predictor.open(folder)


def test_optional_steps_of_a_bundle_are_applied_to_scans(
    draft: BundleDraft, graph: Path, tmp_path: Path, draw_scan: DrawScan
) -> None:
    scan = draw_scan(0)
    folder = bundle_with(draft, graph, tmp_path, recipe=draft.recipe | {"contrast": "clahe"})
    seen = Predictor.open(folder).predict(scan).network_input
    recipe = Recipe.from_json(draft.recipe | {"contrast": "clahe"})
    np.testing.assert_array_equal(seen, recipe(read_scan(scan)))
    assert not np.array_equal(seen, Recipe.from_json(draft.recipe)(read_scan(scan)))


def test_graph_of_another_input_size_is_refused(
    draft: BundleDraft, graph: Path, tmp_path: Path, draw_scan: DrawScan
) -> None:
    folder = bundle_with(draft, graph, tmp_path, recipe=dict(Recipe(size=96).to_json()))
    with pytest.raises(BundleError, match="cannot take an input of shape"):
        Predictor.open(folder).predict(draw_scan(0))


def test_graph_with_other_map_shape_is_refused(
    draft: BundleDraft, graph: Path, tmp_path: Path, draw_scan: DrawScan
) -> None:
    folder = bundle_with(draft, graph, tmp_path, class_map_shape=(7, 7))
    with pytest.raises(BundleError, match=r"class maps must be \(7, 7, 4\), got \(4, 4, 4\)"):
        Predictor.open(folder).predict(draw_scan(0))


def test_bundle_of_another_graph_is_refused(draft: BundleDraft, tmp_path: Path) -> None:
    foreign = write_graph(tmp_path / "foreign.onnx", name="image")
    with pytest.raises(BundleError, match="only graphs that brainslice exported"):
        Predictor.open(bundle_with(draft, foreign, tmp_path))


def test_predictions_hold_no_patient_data(predictor: Predictor, tmp_path: Path) -> None:
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    notes, exif = PngImagePlugin.PngInfo(), Image.Exif()
    notes.add_text("PatientName", "Doe^Jane")
    exif[0x010E] = "Doe^Jane"
    grey = np.random.default_rng(0).integers(0, 256, size=(90, 90), dtype=np.uint8)
    Image.fromarray(grey).save(folder / "slice.png", pnginfo=notes, exif=exif)
    answer = predictor.predict(folder / "slice.png")
    save_overlay(answer, tmp_path / "overlay.png")
    assert "Doe" not in json.dumps(answer.to_json())
    assert "Doe" not in repr(answer)
    assert b"Doe" not in (tmp_path / "overlay.png").read_bytes()


def test_fresh_process_predicts_the_same_without_training_libraries(
    bundle: Path, predictor: Predictor, draw_scan: DrawScan
) -> None:
    path = draw_scan(4)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREDICT, bundle, path],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told = json.loads(done.stdout)
    assert told["heavy"] == []
    assert done.stderr == ""
    assert told["answer"]["probabilities"] == pytest.approx(predictor.predict(path).probabilities, abs=1e-6)


def test_temperature_keeps_the_predicted_class(predictor: Predictor, draw_scan: DrawScan) -> None:
    cold = replace(predictor, temperature=replace(predictor.temperature, value=0.05))
    path = draw_scan(2)
    sure, unsure = cold.predict(path), predictor.predict(path)
    assert sure.predicted_class == unsure.predicted_class
    assert sure.probabilities[sure.predicted_class] > unsure.probabilities[unsure.predicted_class]


@pytest.mark.real
def test_real_scans_are_predicted(predictor: Predictor, real_scans: Path) -> None:
    paths = [path for kind in ("yes", "no") for path in sorted((real_scans / "navoneel" / kind).iterdir())[::12]]
    endings = {path.suffix for path in paths}
    assert len(endings) > 1
    for answer in answers(predictor, paths):
        assert sum(answer.probabilities.values()) == pytest.approx(1)


@pytest.mark.real
def test_damaged_files_are_predicted_or_refused_in_one_line(predictor: Predictor, real_scans: Path) -> None:
    files = sorted(path for path in (real_scans / "hostile").rglob("*") if path.is_file())[::9]
    found = list(predictor.predict_many(files))
    assert len(found) == len(files) > 20
    refusals = [answer for answer in found if isinstance(answer, Refusal)]
    assert refusals
    assert [answer.reason for answer in refusals if "\n" in answer.reason or "; " not in answer.reason] == []


def test_remarks_on_a_file_are_in_its_prediction_alone_and_among_many(predictor: Predictor, tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 4096, (64, 64)).astype(np.uint16)
    plain, windowed = tmp_path / "plain.dcm", tmp_path / "windowed.dcm"
    plain.write_bytes(written(image(pixels)))
    windowed.write_bytes(written(image(pixels, WindowCenter=40, WindowWidth=400)))
    alone = predictor.predict(windowed)
    many = list(predictor.predict_many([plain, windowed, tmp_path / "missing.png"]))
    assert [remark.code for remark in alone.remarks] == [RemarkCode.WINDOW]
    assert [getattr(each, "remarks", None) for each in many] == [(), alone.remarks, None]
    assert alone.to_json()["remarks"] == [remark.to_json() for remark in alone.remarks]
    np.testing.assert_array_equal(alone.network_input, many[0].network_input)
