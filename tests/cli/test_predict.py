from __future__ import annotations

import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import brainslice
from brainslice.bundle.store import write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft
from brainslice.cli.predict import PredictOptions
from brainslice.decision.mc_dropout import HEAD_FILE, LinearHead
from brainslice.errors import UsageError
from brainslice.inference import default_bundle
from brainslice.paths import ProjectPaths
from command import call
from hospital import SERIES, head, image, written
from stand_in import BIAS, SLOPES, config, copy_project, write_bundle_for

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="session")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_project(prepared, tmp_path_factory.mktemp("predict") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


@pytest.fixture
def scans(trained: Path, tmp_path: Path) -> Path:
    found = sorted((trained / "source" / "Testing" / "glioma").iterdir())[:2]
    for number, path in enumerate(found):
        folder = tmp_path / "scans" / str(number)
        folder.mkdir(parents=True)
        shutil.copy(path, folder / f"scan{path.suffix}")
    return tmp_path / "scans"


def test_single_prediction_starts_with_the_verdict(trained: Path, scans: Path, capsys: Capture) -> None:
    (scan,) = (scans / "0").iterdir()
    assert call("predict", scan, "--project-root", trained) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].startswith(("tumour: ", "no tumour: "))
    assert lines[1].split() == ["scan", str(scan)]
    assert "[phantom]" in said.out
    assert "threshold 0.4" in said.out
    assert "research only" in said.err


def test_overlay_of_a_file_with_a_long_name(trained: Path, scans: Path) -> None:
    (scan,) = (scans / "0").iterdir()
    long = scan.rename(scan.with_name("ü" * 120 + scan.suffix))
    folder = scans / "overlays"
    assert call("predict", long, "--project-root", trained, "--gradcam", folder) == 0
    (drawn,) = folder.iterdir()
    assert drawn.name.startswith("ü" * 90 + "_")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_file_names_are_printed_as_one_line_of_utf_8(trained: Path, scans: Path, capsys: Capture) -> None:
    odd = next((scans / "0").iterdir()).rename(scans / "line\nfeed \udce9.png")
    assert call("predict", odd, "--project-root", trained) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.encode("utf-8")
    assert r"line\nfeed \udce9.png" in line


def test_json_is_an_object_on_each_line(trained: Path, scans: Path, capsys: Capture) -> None:
    assert call("predict", scans, "--project-root", trained, "--json") == 0
    said = capsys.readouterr()
    answers = [json.loads(line) for line in said.out.splitlines()]
    assert [sum(answer["probabilities"].values()) for answer in answers] == [pytest.approx(1)] * 2
    assert "research only" not in said.err


def test_threshold_option(trained: Path, scans: Path, capsys: Capture) -> None:
    for threshold, expected in (("0", True), ("1", False)):
        words = ("--bundle", trained / "models" / "bundle", "--threshold", threshold, "--json")
        assert call("predict", scans, *words) == 0
        assert [json.loads(line)["tumour"] for line in capsys.readouterr().out.splitlines()] == [expected] * 2


def test_unreadable_file_does_not_stop_the_rest(trained: Path, scans: Path, capsys: Capture) -> None:
    (scans / "broken.png").write_bytes(b"no picture")
    assert call("predict", scans, "--project-root", trained) == 3
    said = capsys.readouterr()
    assert said.out.count("P(tumour)") == 2
    assert "broken.png" in said.err
    assert said.err.endswith("1 of 3 files could not be read; 2 were predicted\n")


def test_overlays_of_equal_file_names(trained: Path, scans: Path, tmp_path: Path) -> None:
    assert call("predict", scans, "--project-root", trained, "--gradcam", tmp_path / "overlays") == 0
    assert len(list((tmp_path / "overlays").iterdir())) == 2


def test_folder_without_scans_names_the_suffixes(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert call("predict", tmp_path, "--project-root", trained) == 2
    assert ".png" in capsys.readouterr().err


def test_invalid_threshold_is_refused(trained: Path, scans: Path) -> None:
    assert call("predict", scans, "--project-root", trained, "--threshold", "1.5") == 2


def test_predict_without_a_bundle(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_bundle, "DEFAULT_BUNDLE", tmp_path / "none")
    assert call("predict", scans, "--project-root", tmp_path) == 4


def test_shipped_bundle_is_used_outside_a_project(
    trained: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(default_bundle, "DEFAULT_BUNDLE", trained / "models" / "bundle")
    assert call("predict", scans, "--project-root", tmp_path) == 0
    said = capsys.readouterr()
    assert said.out.count("P(tumour)") == 2
    assert "model: the bundle that ships with brainslice: mean grey value (" in said.err


def test_table_is_written_and_resumed(trained: Path, scans: Path, tmp_path: Path, capsys: Capture) -> None:
    (scans / "broken.png").write_bytes(b"no picture")
    table = tmp_path / "rows.csv"
    words = ("predict", scans, "--project-root", trained, "--output", table)
    assert call(*words) == 3
    said = capsys.readouterr()
    assert said.out == f"{table}: 3 rows; 1 refused\n"
    assert said.err.endswith("1 of 3 files could not be read; 2 were predicted\n")
    written = table.read_text(encoding="utf-8")
    table.write_text(written[:-5], encoding="utf-8")
    assert call(*words) == 3
    said = capsys.readouterr()
    assert said.out == f"{table}: 3 rows, 2 of them there before; 1 refused\n"
    assert "the incomplete last line of an earlier run was removed" in said.err
    assert table.read_text(encoding="utf-8") == written
    assert call(*words, "--threshold", "0.9") == 2
    assert "with --overwrite" in capsys.readouterr().err
    assert call(*words, "--threshold", "0.9", "--overwrite") == 3


def test_parts_of_an_archive_hold_together_what_one_table_holds_in_equal_bytes_each_time(
    trained: Path, scans: Path, tmp_path: Path
) -> None:
    words = ("predict", scans, "--project-root", trained)
    assert call(*words, "--output", tmp_path / "rows.jsonl") == 0
    whole = (tmp_path / "rows.jsonl").read_text().splitlines()
    for folder in ("one", "two"):
        for number in (1, 2, 3):
            assert call(*words, "--output", tmp_path / folder / "rows.jsonl", "--part", f"{number}/3") == 0
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / folder).glob("*.jsonl")} for folder in ("one", "two")
    )
    assert sorted(first) == [f"rows-0000{number}-of-00003.jsonl" for number in (1, 2, 3)]
    assert first == second
    told = [json.loads(line)["path"] for data in first.values() for line in data.decode().splitlines()]
    assert sorted(told) == sorted(json.loads(line)["path"] for line in whole)
    assert call(*words, "--part", "1/3") == 2


def test_a_part_without_scans_is_an_empty_parquet_table(trained: Path, scans: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra brainslice[parquet]")
    words = ("predict", scans, "--project-root", trained, "--output", tmp_path / "rows.parquet")
    rows = []
    for number in range(1, 9):
        assert call(*words, "--part", f"{number}/8") == 0
        rows.append(parquet.read_table(tmp_path / f"rows-{number:05d}-of-00008.parquet").num_rows)
    assert sum(rows) == 2
    assert 0 in rows


def test_list_option(
    trained: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    text = "".join(f"{path}\n" for path in sorted(scans.rglob("*.png"), reverse=True))
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    said = []
    for name in (tmp_path / "list.txt", "-"):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert call("predict", "--list", name, "--project-root", trained, "--json") == 0
        said.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert said[0] == said[1]
    assert "".join(f"{row['path']}\n" for row in said[0]) == text


def test_scans_and_list_exclude_each_other(trained: Path, scans: Path, capsys: Capture) -> None:
    assert call("predict", "--project-root", trained) == 2
    assert call("predict", scans, "--list", "-", "--project-root", trained) == 2
    assert "needs scans, folders, or a --list of them, and not both" in capsys.readouterr().err


def test_resumed_table_has_the_same_overlays(trained: Path, scans: Path, tmp_path: Path) -> None:
    words = ("--project-root", trained, "--gradcam", tmp_path / "overlays", "--output", tmp_path / "rows.jsonl")
    assert call("predict", scans / "1", *words) == 0
    assert call("predict", scans, *words) == 0
    overlays = sorted(path.name for path in (tmp_path / "overlays").iterdir())
    assert len(overlays) == 2
    (tmp_path / "rows.jsonl").unlink()
    assert call("predict", scans, *words) == 0
    assert sorted(path.name for path in (tmp_path / "overlays").iterdir()) == overlays


def test_command_line_equals_python(trained: Path, scans: Path, capsys: Capture) -> None:
    assert call("predict", scans, "--project-root", trained, "--json") == 0
    predictor = brainslice.Predictor.open(trained / "models" / "bundle")
    for line in capsys.readouterr().out.splitlines():
        row = json.loads(line)
        alone = predictor.predict(Path(row["path"]))
        assert row["probabilities"] == pytest.approx(alone.probabilities, abs=1e-6)
        assert row.keys() == {"schema", "path", "frame", *alone.to_json()}


def test_predict_loads_no_training_library(trained: Path, scans: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from brainslice.cli.main import main\n"
        "try:\n    main(*sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    words = ("predict", scans, "--project-root", trained, "--output", tmp_path / "rows.csv", "--gradcam", tmp_path)
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "onnxruntime" in loaded
    assert not {"tensorflow", "keras", "sklearn", "scipy", "matplotlib", "onnx", "pyarrow", "highdicom"} & loaded


def test_dicom_output_for_dicom_files_only(trained: Path, scans: Path, tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")
    assert call("predict", scans, "--project-root", trained, "--dicom-out", tmp_path / "out") == 0
    assert capsys.readouterr().err.count("no DICOM file, so no DICOM report was written") == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.real
def test_a_real_dicom_file_gets_its_report_and_map(trained: Path, real_scans: Path, tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")
    scan = real_scans / "dicom" / "single" / "MR_small.dcm"
    assert call("predict", scan, "--project-root", trained, "--dicom-out", tmp_path / "out") == 0
    names = sorted(path.name.split("_")[-1] for path in (tmp_path / "out").iterdir())
    assert names == ["map.dcm", "report.dcm"]


def test_dicom_report_names_the_frame(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")
    pydicom = pytest.importorskip("pydicom")
    scan = tmp_path / "frames.dcm"
    scan.write_bytes(written(image(head(6), StudyInstanceUID=f"{SERIES}.1", FrameOfReferenceUID=f"{SERIES}.3")))
    words = ("--project-root", trained, "--dicom-out", tmp_path / "out", "--frame", "3")
    assert call("predict", scan, *words) == 0
    (report,) = (tmp_path / "out").glob("*_report.dcm")
    named = [
        element.value for element in pydicom.dcmread(report).iterall() if element.keyword == "ReferencedFrameNumber"
    ]
    assert named
    assert set(named) == {3}


def test_table_of_another_frame_is_refused(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    scan = tmp_path / "frames.dcm"
    scan.write_bytes(written(image(head(6))))
    words = ("predict", scan, "--project-root", trained, "--output", tmp_path / "rows.jsonl")
    assert call(*words, "--frame", "2") == 0
    assert call(*words, "--frame", "2") == 0
    assert "1 rows, 1 of them there before" in capsys.readouterr().out
    for other in ((), ("--frame", "3")):
        assert call(*words, *other) == 2
        assert "frame 2" in capsys.readouterr().err


def test_dicom_output_without_highdicom(
    trained: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert call("predict", scans, "--project-root", trained, "--dicom-out", tmp_path / "out") == 2
    assert "--dicom-out needs highdicom; install with: pip install 'brainslice[dicom-out]'" in capsys.readouterr().err


@pytest.mark.real
def test_malicious_files_are_predicted_or_refused_in_one_line(
    trained: Path, real_scans: Path, tmp_path: Path, capsys: Capture
) -> None:
    files = sorted(path for path in (real_scans / "hostile").rglob("*") if path.is_file())
    (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in files), encoding="utf-8")
    table = tmp_path / "rows.jsonl"
    assert call("predict", "--list", tmp_path / "list.txt", "--project-root", trained, "--output", table) == 3
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    assert [row["path"] for row in rows] == [str(path) for path in files]
    assert len(rows) > 400
    for row in rows:
        if "refused" in row:
            assert re.fullmatch(r"[^\n]+: [^\n]+; [^\n]+", row["refused"]), row["refused"]
        else:
            assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert "unexpected" not in capsys.readouterr().err


@pytest.fixture(scope="module")
def headed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle with its head beside it, and a scan."""
    root = copy_project(prepared, tmp_path_factory.mktemp("asking") / "project")
    bundle = write_bundle_for(ProjectPaths.of(root, config()), config())
    head = LinearHead(np.array([SLOPES], np.float32), np.array(BIAS, np.float32), np.full(1, 0.4, np.float32))
    head.save(root / HEAD_FILE)
    draft = BundleDraft(**{name: getattr(bundle.info, name) for name in BundleDraft.model_fields})
    files = {GRAPH_FILE: bundle.path(GRAPH_FILE), HEAD_FILE: root / HEAD_FILE}
    scan = next((root / "source" / "Testing" / "glioma").iterdir())
    return write_bundle(root / "headed", draft, files).folder, scan


def test_dropout_option(headed: tuple[Path, Path], capsys: Capture) -> None:
    bundle, scan = headed
    assert call("predict", scan, "--bundle", bundle) == 0
    plain = capsys.readouterr().out
    assert call("predict", scan, "--bundle", bundle, "--dropout", 20) == 0
    thinned = capsys.readouterr().out
    assert "mutual information" not in plain
    assert "mutual information" in thinned
    lines = [line.split() for line in thinned.splitlines()]
    assert all(line.split() in lines for line in plain.splitlines())


def test_tta_option_is_deterministic_and_noted(headed: tuple[Path, Path], capsys: Capture) -> None:
    bundle, scan = headed
    answers = []
    for words in ((), ("--tta",), ("--tta",)):
        assert call("predict", scan, "--bundle", bundle, "--json", *words) == 0
        said = capsys.readouterr()
        answers.append(json.loads(said.out)["probabilities"])
        assert ("fitted without views" in said.err) == bool(words)
    assert answers[1] == answers[2] != answers[0]


@pytest.mark.parametrize("option", [("--tta",), ("--dropout", "10")])
def test_tables_never_mix_options(
    headed: tuple[Path, Path], tmp_path: Path, option: tuple[str, ...], capsys: Capture
) -> None:
    bundle, scan = headed
    words = ("predict", scan, "--bundle", bundle, "--output", tmp_path / "table.csv", *option)
    assert call(*words) == 2
    assert "must not be mixed; add --overwrite" in capsys.readouterr().err
    assert not (tmp_path / "table.csv").exists()
    assert call(*words, "--overwrite") == 0
    assert (tmp_path / "table.csv").is_file()


def test_exclusive_options_are_refused() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        PredictOptions(threshold=0.5, point="screening")
    with pytest.raises(UsageError, match="--tta and --dropout"):
        PredictOptions(views=True, draws=5)
