from __future__ import annotations

import json
import shutil
from pathlib import Path

import kagglehub
import pytest

from brainslice.dataset.manifest import Manifest
from command import call

Capture = pytest.CaptureFixture[str]


def test_failed_download_raises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    def offline(_: str) -> str:
        msg = "Failed to resolve 'www.kaggle.com'"
        raise ConnectionError(msg)

    monkeypatch.setattr(kagglehub, "dataset_download", offline)
    assert call("download", "nickparvar", "--project-root", tmp_path) == 7
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("brainslice: nickparvar: ")
    assert "by hand" in last


@pytest.mark.parametrize(("name", "verb"), [("nickparvar", "prepare "), ("navoneel", "prepare --external ")])
def test_download_prints_the_next_command(
    name: str, verb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "fetched").mkdir()
    monkeypatch.setattr(kagglehub, "dataset_download", lambda _: str(tmp_path / "fetched"))
    assert call("download", name, "--project-root", tmp_path) == 0
    assert f"next: brainslice {verb}{tmp_path / 'downloads' / name}" in capsys.readouterr().out


def test_unknown_data_set_is_refused(tmp_path: Path, capsys: Capture) -> None:
    assert call("download", "mnist", "--project-root", tmp_path) == 2
    assert "nickparvar" in capsys.readouterr().err


@pytest.fixture
def source(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared / "source", tmp_path / "source"))


def test_prepare_a_folder(source: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call("prepare", source, "--project-root", tmp_path, "--set", "data.folds=3", "--copy") == 0
    manifest = Manifest.read(tmp_path / "data")
    assert 1 + max(record.fold for record in manifest.records) == 3
    assert not any(path.is_symlink() for path in manifest.paths)
    assert f"phantom: {len(manifest.records)} scans" in capsys.readouterr().out


def test_prepare_lists_unreadable_files(source: Path, tmp_path: Path, capsys: Capture) -> None:
    (source / "Training" / "glioma" / "broken.png").write_bytes(b"no picture")
    assert call("prepare", source, "--project-root", tmp_path, "--set", "data.folds=3") == 3
    assert Manifest.read(tmp_path / "data").records
    said = capsys.readouterr().err
    assert "broken.png" in said
    assert said.endswith("brainslice: 1 files could not be read and were left out; everything else is prepared\n")


def test_prepare_with_val_size(source: Path, tmp_path: Path) -> None:
    words = ("prepare", source, "--project-root", tmp_path, "--set", "data.folds=3")
    counts = []
    for share in ("0.1", "0.5"):
        assert call(*words, "--val-size", share) == 0
        counts.append(sum(record.split == "val" for record in Manifest.read(tmp_path / "data").records))
    assert counts[0] < counts[1]


def test_prepare_an_external_set(source: Path, tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other"
    shutil.copytree(source / "Training" / "glioma", other / "yes")
    shutil.copytree(source / "Training" / "notumor", other / "no")
    assert call("prepare", other, "--external", "--project-root", tmp_path) == 0
    place = tmp_path / "data" / "external_navoneel"
    assert sorted(path.name for path in place.iterdir()) == ["no", "yes"]
    assert str(place) in capsys.readouterr().out


def test_external_set_lists_unreadable_files(source: Path, tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other"
    shutil.copytree(source / "Training" / "glioma", other / "yes")
    shutil.copytree(source / "Training" / "notumor", other / "no")
    (other / "yes" / "broken.png").write_bytes(b"no picture")
    assert call("prepare", other, "--external", "--project-root", tmp_path) == 3
    assert "broken.png" in capsys.readouterr().err


def test_missing_source_creates_nothing(tmp_path: Path, capsys: Capture) -> None:
    assert call("prepare", tmp_path / "absent", "--project-root", tmp_path / "project") == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "project" / "data").exists()


def test_prepare_excludes_overlap(source: Path, tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other"
    for kind, label in (("glioma", "yes"), ("notumor", "no")):
        (other / label).mkdir(parents=True)
        shutil.copy(min((source / "Training" / kind).iterdir()), other / label)
    words = ("--project-root", tmp_path, "--set", "data.folds=3", "--exclude-overlap-with", other)
    assert call("prepare", source, *words) == 0
    assert "neither train nor validate" in capsys.readouterr().err
    exclusion = Manifest.read(tmp_path / "data").exclusion
    assert exclusion is not None
    assert exclusion.against == "other"


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared / "source", tmp_path / "folder"))


def test_audit_prints_findings(folder: Path, capsys: Capture) -> None:
    assert call("audit", folder) == 0
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_audit_json(folder: Path, capsys: Capture) -> None:
    assert call("audit", folder, "--json") == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_audit_gallery(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call("audit", folder, "--gallery", tmp_path / "pairs.png") == 0
    assert (tmp_path / "pairs.png").stat().st_size > 0
    assert "pairs.png" in capsys.readouterr().err


def test_audit_against_another_folder(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder / "Testing", tmp_path / "other"))
    assert call("audit", folder, "--against", other) == 0


def test_audit_counts_unreadable_files(folder: Path, capsys: Capture) -> None:
    (folder / "Training" / "glioma" / "broken.png").write_bytes(b"no picture")
    assert call("audit", folder) == 3
    said = capsys.readouterr()
    assert len(said.out.splitlines()) > 3
    assert said.err.endswith("1 files could not be read; all others were audited\n")


def test_audit_of_a_missing_folder(tmp_path: Path, capsys: Capture) -> None:
    assert call("audit", tmp_path / "absent") == 3
    assert capsys.readouterr().err.splitlines()[-1].startswith("brainslice: ")
