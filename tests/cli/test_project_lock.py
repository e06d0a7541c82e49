"""Every command that writes in a project holds its lock; a second one ends at once and names the first."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brainslice import api
from brainslice.errors import UsageError
from brainslice.lock import exclusive_lock
from brainslice.paths import LOCK_FILE, ProjectPaths, project_of
from command import WORDS, call
from stand_in import config, write_bundle_for

WRITING = (
    ("run", "--source", "source"),
    ("demo",),
    ("download", "nickparvar"),
    ("prepare", "source"),
    ("prepare", "--external", "source"),
    ("prepare", "source", "--exclude-overlap-with", "source"),
    ("train",),
    ("train", "--exclude-overlap-with", "source"),
    ("crossval",),
    ("ensemble",),
    ("ensemble", "models/bundle", "models/bundle"),
    ("adapt", "--data", "source"),
    ("evaluate",),
    ("validate", "--data", "source"),
    ("threshold",),
    ("threshold", "--save"),
    ("threshold", "--bundle", "models/bundle", "--use", "youden"),
    ("original-download-and-prepare", "--source", "source"),
)
CPU_SECONDS = 5


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_a_second_writing_command_ends_and_names_the_first(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()
    with exclusive_lock(tmp_path / LOCK_FILE, "training"):
        began = time.process_time()
        assert call(*words, "--project-root", tmp_path) == 2
        assert time.process_time() - began < CPU_SECONDS
        assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK_FILE, "source"]
    assert "is training since" in capsys.readouterr().err


def test_a_second_training_ends_before_it_loads_libraries(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / LOCK_FILE, "training"):
        began = os.times().children_user
        words = [sys.executable, "-m", "brainslice.cli.main", "train", "--project-root", str(tmp_path)]
        second = subprocess.run(words, check=False, capture_output=True, text=True)
        assert os.times().children_user - began < CPU_SECONDS
    assert (second.returncode, "is training since" in second.stderr) == (2, True)


def test_functions_of_the_api_hold_the_lock_too(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / LOCK_FILE, "training"):
        for function in (api.train, api.cross_validate, api.evaluate, api.find_threshold):
            with pytest.raises(UsageError, match="is training since"):
                function(root=str(tmp_path))
        with pytest.raises(UsageError, match="is training since"):
            api.adapt(str(tmp_path), str(tmp_path))
        with pytest.raises(UsageError, match="is training since"):
            api.use_operating_point(tmp_path / "models" / "bundle", "youden")


def test_a_refused_training_keeps_the_older_bundles(project: Path) -> None:
    paths = ProjectPaths.of(project, config())
    bundle = write_bundle_for(paths, config())
    previous = bundle.folder.with_name("bundle.previous")
    previous.mkdir()
    with exclusive_lock(project / LOCK_FILE, "training"):
        assert call("train", "--project-root", project, *WORDS) == 2
    assert list(previous.iterdir()) == []


def test_a_bundle_belongs_to_the_project_around_it(tmp_path: Path) -> None:
    assert project_of(tmp_path / "models" / "official" / "bundle") == tmp_path
    assert project_of(tmp_path / "elsewhere") == tmp_path
