from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import brainslice
from brainslice import errors
from brainslice.cli.main import DEBUG, one_line_errors
from brainslice.dataset import preparation
from brainslice.errors import DatasetError
from command import call

Capture = pytest.CaptureFixture[str]


def raise_in_prepare(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    def prepare(*_: object) -> None:
        raise fault

    monkeypatch.setattr(preparation, "prepare_dataset", prepare)


def test_version_option(capsys: Capture) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"brainslice {brainslice.__version__}\n"


def test_unknown_command_is_a_usage_error(capsys: Capture) -> None:
    assert call("trane") == 2
    assert "trane" in capsys.readouterr().err


def test_original_commands_are_hidden(capsys: Capture) -> None:
    assert call("--help") == 0
    assert "original-" not in capsys.readouterr().out


def test_interrupted_command_says_how_to_resume(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    raise_in_prepare(monkeypatch, KeyboardInterrupt())
    assert call("prepare", tmp_path, "--project-root", tmp_path) == 130
    said = capsys.readouterr().err
    assert "run the same command again" in said
    assert said.count("\n") == 1


def test_debug_shows_the_traceback_and_keeps_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    monkeypatch.setenv(DEBUG, "")
    raise_in_prepare(monkeypatch, DatasetError("a fault"))
    assert call("prepare", tmp_path, "--project-root", tmp_path) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert call("--debug", "prepare", tmp_path, "--project-root", tmp_path) == 3
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert printed.endswith("brainslice: a fault\n")


def test_invalid_setting_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    assert call("train", "--project-root", tmp_path, "--set", "train.lrr=1") == 2
    said = capsys.readouterr().err
    assert "did you mean 'lr'" in said
    assert said.count("\n") == 1


BLOCKED = """
MISSING = "tensorflow keras scipy sklearn matplotlib fastapi pyarrow kagglehub".split()
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in MISSING:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
from brainslice.cli.main import DEBUG, main, one_line_errors
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


def test_missing_extra_is_named_first(tmp_path: Path) -> None:
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
def test_unprintable_characters_are_replaced(prepared: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = tmp_path / "скан"
    folder.mkdir()
    source = next((prepared / "source" / "Testing" / "glioma").iterdir())
    (folder / f"łódź{source.suffix}").write_bytes(source.read_bytes())
    given = [str(folder) if word == "SOURCE" else word for word in words]
    command = [sys.executable, "-m", "brainslice.cli.main", *given]
    environment = {"PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(Path(brainslice.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errors.ConfigError("a: b"), 2),
        (errors.LeakError("a: b"), 2),
        (errors.DatasetError("a: b"), 3),
        (errors.BundleError("a: b"), 4),
        (errors.ResourceError("a: b"), 5),
        (errors.ParityError("a: b"), 6),
        (errors.DownloadError("a: b"), 7),
        (MemoryError(), 5),
        (OSError(errno.ENOSPC, "No space left", "file"), 5),
        (PermissionError(errno.EACCES, "Permission denied", "file"), 8),
        (RuntimeError("two\nlines"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_are_one_line_with_exit_code(
    fault: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, one_line_errors():
        raise fault
    assert caught.value.code == code
    said = capsys.readouterr().err
    assert said.startswith("brainslice: ")
    assert said.count("\n") == 1


def test_quiet_after_the_command(prepared: Path, capsys: Capture) -> None:
    scan = next((prepared / "source" / "Testing" / "glioma").iterdir())
    assert call("predict", scan, prepared / "absent.png", "-q") == 3
    printed = capsys.readouterr()
    assert "P(tumour)" in printed.out or "refer" in printed.out
    reason, end = printed.err.splitlines()
    assert "absent.png" in reason
    assert end == "brainslice: 1 of 2 files could not be read; 1 were predicted"


def test_help_groups_commands_and_shows_an_example(capsys: Capture) -> None:
    assert call("--help") == 0
    printed = capsys.readouterr().out
    assert all(group in printed for group in ("Data", "Training", "Evaluation", "Exit codes: 0"))
    assert call("threshold", "--help") == 0
    assert "Example: brainslice threshold" in capsys.readouterr().out
