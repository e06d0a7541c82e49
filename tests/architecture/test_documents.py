"""Documents agree with the code: names, keys, versions, links, commands and examples."""

from __future__ import annotations

import re
import shlex
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

import brainslice
from brainslice.cli.main import app, command_line
from brainslice.config import Config, read_config

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
READMES = [PROJECT / "README.md", PROJECT / "README.es.md"]
SETTINGS = [PROJECT / "docs/en/configuration.md", PROJECT / "docs/es/configuration.md"]
COMMAND_PAGES = [PROJECT / "docs/en/commands.md", PROJECT / "docs/es/commands.md"]
ENGLISH_ONLY = {"renames.md"}
COMMANDS = {str(command.name): command for command in app.registered_commands}
GROUPS = [str(group.name) for group in app.registered_groups]
PEOPLE_KNOW = [*(name for name, command in COMMANDS.items() if not command.hidden), *GROUPS]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(path), flags=re.MULTILINE | re.DOTALL)


def prose(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(path), flags=re.MULTILINE | re.DOTALL)


def settings(section: BaseModel, before: str = "") -> Iterator[tuple[str, object]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from settings(value, f"{before}{name}.")
        else:
            yield before + name, value


def spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return value.as_posix() if isinstance(value, Path) else str(value)


def anchors(path: Path) -> set[str]:
    """The names under which GitHub finds a page's headings."""
    titles = re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    plain = (unicodedata.normalize("NFC", title).lower().replace("`", "") for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


def test_both_readmes_lead_to_each_other() -> None:
    assert "(README.es.md)" in text_of(READMES[0])
    assert "(README.md)" in text_of(READMES[1])


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_a_readme_is_short(readme: Path) -> None:
    assert readme.stat().st_size <= 9_000


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=lambda path: path.parent.name)
def test_the_page_of_commands_names_every_verb(page: Path) -> None:
    text = text_of(page)
    assert not [verb for verb in PEOPLE_KNOW if not re.search(rf"`(brainslice )?{verb}\b", text)]


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=lambda path: path.parent.name)
def test_the_page_of_commands_names_every_original_command(page: Path) -> None:
    scripts = [*PROJECT.glob("src/*.py"), *(path for path in PROJECT.glob("tools/*.py") if "original" in text_of(path))]
    names = [path.relative_to(PROJECT).as_posix() for path in scripts]
    assert len(names) >= 9
    assert not [name for name in names if f"python {name}" not in text_of(page)]


def test_every_page_is_there_in_both_languages() -> None:
    english, spanish = ({path.name for path in PROJECT.glob(f"docs/{language}/*.md")} for language in ("en", "es"))
    assert english - ENGLISH_ONLY == spanish


@pytest.mark.parametrize("page", SETTINGS, ids=lambda path: path.name)
def test_every_setting_is_documented_with_its_default(page: Path) -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| `(.*?)` \|", text_of(page), flags=re.MULTILINE))
    assert rows == {key: spelled(value) for key, value in settings(Config())}


def test_the_configuration_that_ships_holds_every_key_at_its_default() -> None:
    path = PROJECT / "configs" / "config.yaml"
    written = Config.model_validate(yaml.safe_load(text_of(path)))
    assert read_config(path) == written == Config()
    keys = [key.rsplit(".", 1)[-1] for key, _ in settings(Config())]
    assert not [key for key in keys if not re.search(rf"^\s*{key}:", text_of(path), flags=re.MULTILINE)]


def test_the_architecture_page_lists_every_package_and_module() -> None:
    package = PROJECT / "src" / "brainslice"
    tree = re.search(r"^```\n(src/brainslice/.*?)^```$", text_of(PROJECT / "ARCHITECTURE.md"), re.MULTILINE | re.DOTALL)
    assert tree is not None
    drawn: dict[str, set[str]] = {"": set()}
    package_name = ""
    for line in tree[1].split("\n\nsrc/*.py")[0].splitlines()[1:]:
        if name := re.match(r"  ([\w/]+)/ ", line):
            package_name = name[1]
            drawn[package_name] = set()
        elif module := re.match(r"  (\w+) ", line):
            drawn[""].add(module[1])
            continue
        drawn[package_name] |= set(re.findall(r"\b[a-z_][a-z_0-9]*\b", re.sub(r"^.*[A-Z\]]{3,}\S*|\[\w+\]", "", line)))
    found = {"": {path.stem for path in package.glob("*.py")}}
    for folder in package.glob("*/**/__init__.py"):
        modules = {path.stem for path in folder.parent.glob("*.py")}
        found[folder.parent.relative_to(package).as_posix()] = modules - {"__init__"}
    assert drawn == found


def test_the_architecture_page_draws_the_layers_as_they_are() -> None:
    contracts = tomllib.loads(text_of(PROJECT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    drawn = "\n".join(layer.replace("brainslice.", "") for layer in layers)
    assert f"```\n{drawn}\n```" in text_of(PROJECT / "ARCHITECTURE.md")


def test_the_changelog_knows_the_current_version() -> None:
    assert f"## {brainslice.__version__}" in text_of(PROJECT / "CHANGELOG.md")


def test_the_citation_knows_the_current_version() -> None:
    citation = yaml.safe_load(text_of(PROJECT / "CITATION.cff"))
    assert str(citation["version"]) == brainslice.__version__
    assert citation["license"] == "MIT"


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    lost = []
    for link in links:
        if re.match(r"(https?|mailto):", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert not lost


def without_comments(code: str) -> str:
    return re.sub(r" +# .*", "", code)


@pytest.mark.parametrize("page", sorted(PROJECT.glob("docs/es/*.md")), ids=lambda path: path.name)
def test_a_spanish_page_has_the_examples_of_the_english_one(page: Path) -> None:
    spanish, english = (blocks(each, "python") for each in (page, PROJECT / "docs/en" / page.name))
    assert [without_comments(code) for code in spanish] == [without_comments(code) for code in english]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.relative_to(PROJECT).as_posix())
        for page in DOCUMENTS
        if blocks(page, "python") and page.parent.name != "es"
        if page.name != "python.md"  # its examples run in tests/journeys/test_python_page.py
    ],
)
def test_the_examples_of_a_page_run_in_their_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    for number, code in enumerate(blocks(page, "python")):
        exec(compile(code, f"{page.name}, block {number}", "exec"), names)  # noqa: S102 - our own documents


def command_lines() -> list[object]:
    return [
        pytest.param(line, id=f"{page.relative_to(PROJECT).as_posix()}: {line}")
        for page in DOCUMENTS
        for block in blocks(page, "bash")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith(("brainslice ", "./run.sh"))
    ]


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_in_the_documents_can_be_meant(line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    if program == "./run.sh":
        if "--set-up" in words:
            return
        words = ["demo" if "--demo" in words else "run", *(word for word in words if word != "--demo")]
    words = [word for word in words if word != "--debug"]
    verb = words[0]
    assert verb in PEOPLE_KNOW
    command = command_line().commands[verb]
    command = command.commands[words[1]] if verb in GROUPS else command
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert not [word for word in words[1:] if word.startswith("--") and word.split("=")[0] not in known]
