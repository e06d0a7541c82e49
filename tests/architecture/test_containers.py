"""The container files, read as an engine would read them; what can be known without one."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

from brainslice.cli.main import command_line

PROJECT = Path(__file__).resolve().parents[2]
FILES = ["Dockerfile", "Dockerfile.train"]
KNOWN = {
    *("FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"),
    "VOLUME",
}
SECRET = re.compile(r"token|secret|passw|api_?key|credential", re.IGNORECASE)
both = pytest.mark.parametrize("name", FILES)


@dataclass(frozen=True)
class Step:
    word: str
    rest: str


def steps(name: str) -> list[Step]:
    text = (PROJECT / name).read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    lines = [line.strip() for line in kept.replace("\\\n", " ").splitlines() if line.strip()]
    return [Step(*line.split(maxsplit=1)) for line in lines]


def rests(name: str, word: str) -> list[str]:
    return [step.rest for step in steps(name) if step.word == word]


def last_stage(name: str) -> list[Step]:
    found = steps(name)
    return found[max(place for place, step in enumerate(found) if step.word == "FROM") :]


def pip_lines(name: str) -> list[list[str]]:
    commands = [command for rest in rests(name, "RUN") for command in rest.split("&&")]
    return [shlex.split(command) for command in commands if " install " in command]


def copied(name: str) -> list[str]:
    found = []
    for rest in rests(name, "COPY"):
        words = shlex.split(rest)
        if not any(word.startswith("--from") for word in words):
            found += words[:-1]
    return found


def is_sent(path: str) -> bool:
    """Tell whether a path reaches an engine: the last rule of .dockerignore that matches decides."""
    sent = True
    for line in (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        rule = line.strip().removeprefix("!")
        if not rule or rule.startswith("#"):
            continue
        parts = path.split("/")
        above = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
        anywhere = rule.startswith("**/") and any(fnmatch(part, rule[3:]) for part in parts)
        if anywhere or any(fnmatch(place, rule) and place.count("/") == rule.count("/") for place in above):
            sent = line.startswith("!")
    return sent


@both
def test_every_instruction_is_one_that_engines_know(name: str) -> None:
    assert {step.word for step in steps(name)} <= KNOWN


@both
def test_the_image_runs_as_nobody_in_particular(name: str) -> None:
    users = [step.rest for step in last_stage(name) if step.word == "USER"]
    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]), "a number, so that engines can tell that it is not root"


@both
def test_no_secret_is_baked_in(name: str) -> None:
    settings = [step.rest for step in steps(name) if step.word in {"ENV", "ARG", "LABEL"}]
    assert not [rest for rest in settings if SECRET.search(rest)]


@both
def test_the_base_is_a_python_the_package_runs_on(name: str) -> None:
    requires = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    low, high = map(int, re.findall(r"3\.(\d+)", requires))
    for rest in rests(name, "FROM"):
        version = re.match(r"python:3\.(\d+)-slim\b", rest)
        assert version is not None
        assert low <= int(version[1]) < high


@both
def test_every_path_that_is_copied_exists_and_is_sent(name: str) -> None:
    paths = copied(name)
    assert paths
    assert not [path for path in paths if not (PROJECT / path).exists() or not is_sent(path)]


@both
def test_all_that_the_package_is_built_from_is_copied(name: str) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"pyproject.toml", "src/brainslice", project["readme"], *project["license-files"]} <= set(copied(name))


@pytest.mark.parametrize(
    "path",
    [".git/config", "data/manifest.csv", "models/bundle/model.onnx", "kaggle.json", "token.txt", ".env", "tests/a.py"],
)
def test_what_is_nobody_elses_business_never_travels(path: str) -> None:
    assert not is_sent(path)


def test_compiled_code_stays_and_the_page_travels() -> None:
    assert not is_sent("src/brainslice/scan/__pycache__/read.pyc")
    assert is_sent("src/brainslice/service/page/index.html")
    assert is_sent("src/brainslice/dataset/splits/nickparvar.csv.gz")


@both
def test_every_installation_names_what_exists(name: str) -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    lines = pip_lines(name)
    assert lines
    for words in lines:
        files = [words[place + 1] for place, word in enumerate(words) if word in {"--requirement", "--constraint"}]
        assert all((PROJECT / file).is_file() and file in copied(name) for file in files)
        targets = [word for word in words if word.startswith(".")]
        assert {extra for target in targets for extra in re.findall(r"\[([\w,-]+)\]", target)} <= set(extras)
        assert "--no-cache-dir" in words


def test_the_service_is_installed_without_training_libraries() -> None:
    (words,) = pip_lines("Dockerfile")
    assert words[-1] == ".[serve]"
    assert "--requirement" not in words


def test_the_service_is_started_with_options_it_has() -> None:
    (entry,), (command,) = rests("Dockerfile", "ENTRYPOINT"), rests("Dockerfile", "CMD")
    assert json.loads(entry) == ["brainslice"]
    words = json.loads(command)
    known = {option for each in command_line().commands[words[0]].params for option in each.opts}
    assert words[0] == "serve"
    assert {word for word in words if word.startswith("--")} <= known
    assert rests("Dockerfile", "EXPOSE") == [words[words.index("--port") + 1]]


def test_the_service_is_asked_for_its_health_where_it_answers() -> None:
    (rest,) = rests("Dockerfile", "HEALTHCHECK")
    program = json.loads(rest.split(" CMD ", 1)[1])
    (port,) = rests("Dockerfile", "EXPOSE")
    assert program[:2] == ["python", "-c"]
    compile(program[2], "health", "exec")
    assert f"http://127.0.0.1:{port}/livez" in program[2]


@both
def test_no_instruction_needs_a_shell_at_run_time(name: str) -> None:
    for word in ("ENTRYPOINT", "CMD"):
        for rest in rests(name, word):
            assert isinstance(json.loads(rest), list)
