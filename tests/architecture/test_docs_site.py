"""The documentation site is built without a warning and without any other site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from brainslice.cli.main import app

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")  # of mkdocs and its plugins

VERBS = [str(command.name) for command in app.registered_commands if not command.hidden]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the documentation site needs requirements-docs.txt")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    target = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        config = load_config(str(PROJECT / "mkdocs.yml"), site_dir=str(target), strict=True)
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
    return target


def page(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


def test_every_page_is_built_in_both_languages(site: Path) -> None:
    for name in ("index", "believing", "concepts", "results", "train-own-data"):
        assert 'lang="en"' in page(site, f"{name}.html")
        assert 'lang="es"' in page(site, f"es/{name}.html")


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r"<(?:script|img|iframe|link)[^>]*(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")
    assert not [
        (path.name, found) for path in site.rglob("*.html") for found in loaded.findall(path.read_text("utf-8"))
    ]


def test_formulas_are_drawn_by_the_browser(site: Path) -> None:
    concepts = page(site, "concepts.html")
    assert concepts.count("<math") > 200
    assert "FORMULA" not in concepts
    assert not re.search(r"\$[^$<]*\\[a-z]+", concepts)


def test_the_reference_lists_commands_and_functions(site: Path) -> None:
    commands, python = page(site, "commands.html"), page(site, "es/python.html")
    assert not [
        verb for verb in VERBS if f"brainslice {verb}</" not in commands and f"brainslice {verb}<a" not in commands
    ]
    assert "--target-sensitivity" in commands
    assert 'id="brainslice.api.data.prepare"' in python
