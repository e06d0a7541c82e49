"""The wheel in a new environment, outside the checkout and without any extra: every command's help and an error."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

import brainslice
from brainslice.cli.main import app
from brainslice.phantom import draw_phantom

pytestmark = [pytest.mark.slow_only, pytest.mark.timeout(1800)]

PROJECT = Path(__file__).resolve().parents[2]
PACKED = ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")
GROUPS = {str(group.name): group.typer_instance for group in app.registered_groups}
COMMANDS = [
    *(str(command.name) for command in app.registered_commands),
    *(f"{name} {command.name}" for name, group in GROUPS.items() for command in group.registered_commands),
]
NEED_TRAIN = ("run", "demo", "train", "crossval", "ensemble", "adapt --data here", "evaluate", "validate", "external")
NEED_TRAIN += ("import-keras here --class-names a,b", "export-tflite here", "sweep train.lr=1e-4|1e-3")
NEED_TRAIN += ("threshold --youden", "summary", "robustness", "lesion-test here", "report here")
# The exit code and a part of the one line of each command's error.
ERRORS = {
    **dict.fromkeys(NEED_TRAIN, (2, "pip install 'brainslice[train]'")),
    "download nickparvar": (2, "pip install 'brainslice[train]'"),
    "prepare nowhere.zip": (3, "nowhere.zip"),
    "audit nowhere": (3, "nowhere"),
    "verify": (2, "results"),
    "reproduce shipped": (2, "results"),
    "sign nowhere --key nowhere.pem": (2, "pip install 'brainslice[sign]'"),
    "predict nowhere.png": (3, "1 of 1 files could not be read"),
    "predict-archive nowhere --output rows.txt": (2, "must end in .jsonl"),
    "predict-volume nowhere.nii": (3, "nowhere.nii"),
    "volume nowhere.nii": (3, "nowhere.nii"),
    "worklist nowhere": (3, "1 of 1 files could not be read"),
    "triage nowhere": (3, "1 of 1 files could not be read"),
    "serve": (2, "pip install 'brainslice[serve]'"),
    "pacs predict http://127.0.0.1:1/dicom-web": (2, "pip install 'brainslice[pacs]'"),
    "pacs listen --allow-ae A --send-to B@127.0.0.1:4242": (2, "pip install 'brainslice[pacs]'"),
}


@dataclass(frozen=True)
class Installed:
    """A new environment with the wheel, and an empty folder to run in."""

    program: Path
    folder: Path

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        command = [str(self.program), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, env={})


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    root = tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        PROJECT / "src", root / "checkout" / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__")
    )
    for name in PACKED:
        shutil.copy(PROJECT / name, root / "checkout")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        root,
        root / "checkout",
    ]
    subprocess.run(pip, check=True)
    (wheel,) = root.glob("*.whl")
    venv.create(root / "venv", with_pip=True)
    programs = root / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([programs / "python", "-m", "pip", "install", "-q", wheel], check=True)
    folder = root / "elsewhere"
    folder.mkdir()
    return Installed(programs / "brainslice", folder)


def test_the_wheel_holds_the_version_and_loads_from_its_own_environment(installed: Installed) -> None:
    assert installed.run("--version").stdout == f"brainslice {brainslice.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(installed: Installed, command: str) -> None:
    done = installed.run(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"brainslice {command}" in done.stdout


def test_every_command_has_an_error_here() -> None:
    tried = {" ".join(words.split()[: 2 if words.startswith("pacs") else 1]) for words in ERRORS}
    assert {name for name in COMMANDS if not name.startswith("original-")} == tried


@pytest.mark.parametrize("words", ERRORS)
def test_an_error_is_one_line_that_says_what_to_do(installed: Installed, words: str) -> None:
    code, part = ERRORS[words]
    done = installed.run(*words.split())
    lines = done.stderr.splitlines()
    assert done.returncode == code, done.stderr
    assert lines[-1].startswith("brainslice: ")
    assert part in lines[-1]
    assert "Traceback" not in done.stderr
    assert not list(installed.folder.iterdir())


def test_the_shipped_model_predicts_without_any_extra(installed: Installed, tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    Image.fromarray(draw_phantom("glioma", 0, 0, 3).pixels).save(path)
    done = installed.run("predict", path)
    assert done.returncode == 0, done.stderr
    assert "for research only" in done.stdout + done.stderr
