"""No name from before the change to standard terms is left, outside the tables that still accept it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from brainslice.bundle.migration import RENAMED_IN_ADAPTATION, RENAMED_IN_FORMAT_2
from brainslice.cli.main import command_line
from brainslice.config import RENAMED_KEYS

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "src" / "brainslice"
PAGE = (PROJECT / "docs/en/renames.md").read_text(encoding="utf-8")


def renamed(title: str) -> dict[str, str]:
    part = PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = dict(re.findall(r"^\| (?:.*\| )?`([^`|]+)` \| `([^`|]+)` \|$", part, flags=re.MULTILINE))
    assert rows
    return rows


def file_of(module: str) -> Path:
    return PACKAGE / f"{module.replace('.', '/')}.py"


def names_in(nodes: list[ast.stmt]) -> set[str]:
    targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in nodes if isinstance(node, ast.AnnAssign)]
    return {target.id for target in targets if isinstance(target, ast.Name)} | {
        node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def defined_in(module: str) -> set[str]:
    return names_in(ast.parse(file_of(module).read_text(encoding="utf-8")).body)


def members_of(place: str) -> set[str]:
    module, name = place.rsplit(".", 1)
    nodes = ast.parse(file_of(module).read_text(encoding="utf-8")).body
    (found,) = (node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name)
    return names_in(found.body)


@pytest.mark.parametrize(("old", "new"), renamed("Packages").items())
def test_a_package_has_its_new_name_only(old: str, new: str) -> None:
    assert (PACKAGE / new / "__init__.py").is_file()
    assert not (PACKAGE / old).exists()


@pytest.mark.parametrize(("old", "new"), renamed("Modules").items())
def test_a_module_has_its_new_name_only(old: str, new: str) -> None:
    assert file_of(new).is_file()
    assert not file_of(old).exists()


@pytest.mark.parametrize(("old", "new"), renamed("Classes, functions and constants").items())
def test_a_class_function_or_constant_has_its_new_name_only(old: str, new: str) -> None:
    module, name = new.rsplit(".", 1)
    names = defined_in(module)
    assert name in names
    assert old.rsplit(".", 1)[1] not in names


@pytest.mark.parametrize(("old", "new"), renamed("Fields and methods").items())
def test_a_field_or_method_has_its_new_name(old: str, new: str) -> None:  # noqa: ARG001 - named beside the test
    place, name = new.rsplit(".", 1)
    assert name in members_of(place)


def test_no_class_carries_an_old_name() -> None:
    rows = renamed("Classes, functions and constants")
    before, now = ({each.rsplit(".", 1)[1] for each in names} for names in (rows.keys(), rows.values()))
    classes = {
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    assert not classes & {name for name in before - now if name[0].isupper()}


def test_every_old_command_is_a_hidden_name_of_the_new_one() -> None:
    commands = command_line().commands
    for old, new in renamed("Commands").items():
        first, second = (commands[name.removeprefix("brainslice ")] for name in (old, new))
        assert first.hidden
        assert not second.hidden
        assert [parameter.opts for parameter in first.params] == [parameter.opts for parameter in second.params]


def test_the_page_lists_every_key_that_is_still_accepted() -> None:
    assert set(renamed("Configuration keys")) == {old.replace("decision.", "trust.") for old in RENAMED_KEYS}
    keys = renamed("JSON keys")
    assert {*RENAMED_IN_FORMAT_2, *RENAMED_IN_ADAPTATION} <= set(keys)
