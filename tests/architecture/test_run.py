"""The one file behind run.sh, run.ps1 and run.bat."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """run.py, as if it lay in an empty project folder."""
    where = importlib.util.spec_from_file_location("run_script", PROJECT / "run.py")
    assert where is not None
    assert where.loader is not None
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "ENVIRONMENT", tmp_path / ".venv")
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (tmp_path / "requirements.txt").write_text("numpy==2.4.6\n", encoding="utf-8")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\npytest==9.2.0\n", encoding="utf-8")
    return module


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7), (4, 0)])
def test_a_python_without_our_libraries_is_refused_in_one_line(
    run: ModuleType, version: tuple[int, int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.sys, "version_info", (*version, 0))
    assert run.main([]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"{version[0]}.{version[1]}" in told
    assert "3.11, 3.12 or 3.13" in told


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_python_with_our_libraries_is_welcome(run: ModuleType, version: tuple[int, int]) -> None:
    run.refuse_python(version, "python")


def test_the_versions_it_wants_are_those_of_the_package(run: ModuleType) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">=3.{run.OLDEST[1]},<3.{run.NEWEST[1] + 1}"


def test_arguments_go_to_the_verb_run(run: ModuleType) -> None:
    assert run.command_for(["--source", "a b.zip"], run.ROOT)[1:] == [
        "brainslice.cli.main",
        "run",
        "--source",
        "a b.zip",
    ]


def test_demo_is_a_verb_of_its_own(run: ModuleType) -> None:
    assert run.command_for(["--seed", "3", "--demo"], run.ROOT)[2:] == ["demo", "--seed", "3"]


@pytest.mark.parametrize(("word", "place"), [("run", ()), ("--demo", ("demo",))])
def test_from_elsewhere_it_is_still_this_project(run: ModuleType, word: str, place: tuple[str, ...]) -> None:
    given = [word] if word == "--demo" else []
    assert run.command_for(given, run.ROOT.parent)[-2:] == ["--project-root", str(run.ROOT.joinpath(*place))]


@pytest.mark.parametrize("words", [["--project-root", "x"], ["--project-root=x"]])
def test_a_project_that_was_named_is_kept(run: ModuleType, words: list[str]) -> None:
    assert run.command_for(words, run.ROOT.parent)[3:] == words


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("WARNING: Retrying after connection broken by 'NewConnectionError(...)'", 7),
        ("ERROR: HTTPSConnectionPool(host='x', port=443): Read timed out.", 7),
        ("[Errno -3] Temporary failure in name resolution", 7),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", 5),
        ("The virtual environment was not created successfully because ensurepip is not available.", 2),
        ("ERROR: No matching distribution found for numpy==0.0.1", 1),
    ],
)
def test_a_failed_installation_ends_in_one_line_and_its_exit_code(run: ModuleType, said: str, code: int) -> None:
    fault = run.fault_of(f"Collecting numpy\n{said}\n")
    assert fault.exit_code == code
    assert "\n" not in str(fault)


def test_an_unknown_failure_is_told_in_pips_own_words(run: ModuleType) -> None:
    fault = run.fault_of("ERROR: first\nNotice: nothing\nERROR: the wheel is broken\nbye\n")
    assert "the wheel is broken" in str(fault)


def test_a_full_disk_is_told_apart_from_a_missing_network(run: ModuleType) -> None:
    assert run.fault_of("Connection reset, then: No space left on device").exit_code == 5


def test_the_environment_is_set_up_once(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[list[str]] = []
    python = run.python_of(run.ENVIRONMENT)

    def make() -> None:
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()

    monkeypatch.setattr(run, "make_environment", make)
    monkeypatch.setattr(run, "install", lambda options, *_: installed.append(options))
    requirements = run.ROOT / "requirements.txt"
    run.set_up(requirements)
    run.set_up(requirements)
    assert [options[0] for options in installed] == ["--requirement", "--no-deps"]
    requirements.write_text("numpy==2.4.7\n", encoding="utf-8")
    run.set_up(requirements)
    assert len(installed) == 4


def test_an_installation_that_failed_is_tried_again(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = run.SetUpError("no network", 7)

    def fail(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(run, "make_environment", run.ENVIRONMENT.mkdir)
    monkeypatch.setattr(run, "install", fail)
    for _ in range(2):
        with pytest.raises(run.SetUpError, match="no network"):
            run.set_up(run.ROOT / "requirements.txt")
        run.ENVIRONMENT.rmdir()


def test_pins_for_developers_change_with_the_pins_they_include(run: ModuleType) -> None:
    before = run.fingerprint(run.ROOT / "requirements-dev.txt")
    (run.ROOT / "requirements.txt").write_text("numpy==2.4.7\n", encoding="utf-8")
    assert run.fingerprint(run.ROOT / "requirements-dev.txt") != before


def test_an_environment_without_a_python_is_named_with_its_remedy(run: ModuleType) -> None:
    run.ENVIRONMENT.mkdir()
    with pytest.raises(run.SetUpError, match="delete that folder"):
        run.make_environment()


@pytest.mark.parametrize(("words", "name"), [([], "requirements.txt"), (["--dev"], "requirements-dev.txt")])
def test_set_up_installs_and_stops(
    run: ModuleType, words: list[str], name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed: list[Path] = []
    monkeypatch.setattr(run, "set_up", installed.append)
    assert run.main(["--set-up", *words]) == 0
    assert installed == [run.ROOT / name]
    assert "up to date" in capsys.readouterr().out


def test_bytecode_is_compiled_whatever_the_environment_says(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    variables = run.child_environment()
    assert "PYTHONDONTWRITEBYTECODE" not in variables
    assert variables["TF_ENABLE_ONEDNN_OPTS"] == "1"
    assert variables["TF_CPP_MIN_LOG_LEVEL"] == "2"
    assert variables["PATH"].startswith(str(run.ENVIRONMENT))


def test_progress_is_one_line_a_stage_where_nobody_watches(run: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    ticker = run.Ticker(2)
    for line in ("Collecting a==1 (from -r r.txt (line 1))", "Collecting b==2 (from -r r.txt (line 2))"):
        ticker.hear(line)
    ticker.hear("Installing collected packages: a, b")
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.skipif(os.name == "nt", reason="bash scripts are for Linux and macOS")
@pytest.mark.parametrize("script", ["run.sh", "test.sh", ".ci/run"])
def test_a_script_is_executable_and_parses(script: str) -> None:
    assert os.access(PROJECT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(PROJECT / script)], check=True)


@pytest.mark.skipif(os.name == "nt", reason="bash scripts are for Linux and macOS")
def test_run_sh_without_any_python_says_what_it_needs(tmp_path: Path) -> None:
    bash = subprocess.run(["bash", "-c", "command -v bash dirname"], capture_output=True, text=True, check=True)
    for line in bash.stdout.split():
        (tmp_path / Path(line).name).symlink_to(line)
    command = [str(tmp_path / "bash"), str(PROJECT / "run.sh")]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "3.11, 3.12 or 3.13" in done.stderr


@pytest.mark.parametrize("script", ["run.sh", "run.ps1", "run.bat"])
def test_every_start_script_is_a_few_lines_over_the_same_file(script: str) -> None:
    text = (PROJECT / script).read_text(encoding="utf-8")
    assert text.count("\n") <= 20
    assert "run.py" in text
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in text


def test_run_bat_names_its_variables_as_no_cmd_can_misread_them() -> None:
    text = (PROJECT / "run.bat").read_text(encoding="utf-8")
    loop = set(re.findall(r"%%(\w)", text))
    # `%%~P` may be the variable P or the modifier p with its variable missing; so for each of these letters.
    assert loop
    assert not loop & set("adfnpstxzADFNPSTXZ")
    # Brackets in what Python is asked would end a block that the line stands in.
    assert "(\n  call" not in text


def pins(name: str) -> list[Requirement]:
    lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_and_names_no_address(name: str) -> None:
    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) for pin in pins(name))
    assert "://" not in (PROJECT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "extras"), [("requirements.txt", ("train",)), ("requirements-dev.txt", ("dev",))])
def test_the_pins_lie_within_the_ranges_of_the_package(name: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = {key(pin): str(pin.specifier).removeprefix("==") for pin in pins(name)}
    wanted = [] if extras == ("dev",) else project["dependencies"]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    for line in wanted:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pinned[key(requirement)]), line


def key(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).casefold()
