"""Limits that every file of the project keeps."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "src" / "brainslice"
MODULES = sorted(PACKAGE.rglob("*.py"))
OURS = sorted({*MODULES, *PROJECT.glob("*.py"), *PROJECT.glob("src/*.py"), *PROJECT.glob("tools/*.py")})
WRITTEN = sorted(
    path
    for pattern in ("*", "src/**/*", "tests/**/*", "tools/*", "benchmarks/*", "docs/**/*", "configs/*", ".ci/*")
    for path in PROJECT.glob(pattern)
    if path.is_file() and path.suffix in {"", ".py", ".md", ".toml", ".yaml", ".sh", ".ps1", ".bat", ".txt", ".cff"}
)

Function = ast.FunctionDef | ast.AsyncFunctionDef

# This file names the words it forbids, so it is put together from halves.
UNWANTED = re.compile("TO" + "DO|FIX" + "ME|HA" + "CK|type: " + "ignore|pragma: no " + "cover|index-" + "url")
ELSEWHERE = re.compile(r"/(?:wor" + r"k|roo" + r"t|op" + r"t|home/\w+)/")
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base"}
CUT_SHORT = {
    *("prob", "probs", "pred", "preds", "img", "imgs", "cfg", "conf", "lbl", "lbls", "idx", "arr", "mgr", "tmp", "ctx"),
    *("num", "cnt", "calc", "elem", "elems", "param", "params", "func", "fn", "cb", "res", "ret"),
    *("dst", "acc", "hist", "thresh", "temp", "vals", "bs", "lam"),
}


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def line_count(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, Function))


def lines_without_docstring(function: Function) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    first = function.body[0]
    return lines - ((first.end_lineno or first.lineno) - first.lineno + 1)


def introduced_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, Function | ast.ClassDef):
            yield node.name


def test_no_module_is_over_300_lines() -> None:
    assert not {name_of(path): count for path in OURS if (count := line_count(path)) > 300}


def test_half_of_all_modules_have_at_most_140_lines() -> None:
    lengths = sorted(line_count(path) for path in MODULES)
    # Small modules were merged into their callers: fewer modules, of a somewhat higher median.
    assert lengths[len(lengths) // 2] <= 140


def test_no_function_is_over_40_lines() -> None:
    found = {(name_of(path), each.name): lines_without_docstring(each) for path in OURS for each in functions(path)}
    assert not {place: lines for place, lines in found.items() if lines > 40}


def test_nine_functions_in_ten_have_at_most_20_lines() -> None:
    lengths = sorted(lines_without_docstring(each) for path in MODULES for each in functions(path))
    assert lengths[len(lengths) * 9 // 10] <= 20


def test_every_module_says_what_it_is() -> None:
    assert not [name_of(path) for path in OURS if not ast.get_docstring(tree_of(path))]


def test_everything_public_says_what_it_is() -> None:
    public = [
        (name_of(path), node)
        for path in OURS
        for node in tree_of(path).body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    ]
    assert public
    assert not [(name, node.name) for name, node in public if not ast.get_docstring(node)]


def test_modules_are_named_for_what_they_hold() -> None:
    assert not [name_of(path) for path in OURS if SAYS_NOTHING & set(path.stem.split("_"))]


def test_names_are_words() -> None:
    found = {(name_of(path), name) for path in OURS for name in introduced_names(tree_of(path))}
    assert not [place for place in found if place[1].strip("_").casefold() in CUT_SHORT]


def test_nothing_is_put_off_silenced_or_bound_to_one_machine() -> None:
    assert not [
        (name_of(path), hit.group())
        for path in WRITTEN
        for pattern in (UNWANTED, ELSEWHERE)
        for hit in pattern.finditer(path.read_text(encoding="utf-8"))
    ]


def test_every_module_over_30_lines_has_its_tests_at_the_same_place() -> None:
    places = [path.relative_to(PACKAGE) for path in MODULES if path.name != "__init__.py" and line_count(path) > 30]
    mirrored = [PROJECT / "tests" / place.with_name(f"test_{place.name}") for place in places]
    assert not [name_of(path) for path in mirrored if not path.is_file()]


def test_a_long_function_would_be_noticed() -> None:
    tree = ast.parse('def long():\n    """Say."""\n' + "    pass\n" * 41)
    (function,) = (node for node in ast.walk(tree) if isinstance(node, Function))
    assert lines_without_docstring(function) == 42


@pytest.mark.parametrize("source", ["def f(probs): ...", "cfg = 1", "for idx in (): ...", "class Mgr: ..."])
def test_a_name_cut_short_would_be_noticed(source: str) -> None:
    assert {name.casefold() for name in introduced_names(ast.parse(source))} & CUT_SHORT
