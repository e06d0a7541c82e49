from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.cli.options import settings
from brainslice.config import Config
from brainslice.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text("seed: 1\ntrain: {recipe: full}\nmodel: {weights: none}\n")
    return path


def test_settings_without_a_file_are_the_defaults(tmp_path: Path) -> None:
    assert settings(tmp_path, None, None) == Config()


def test_project_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "config.yaml").write_text("seed: 3\n")
    assert settings(tmp_path, None, None).seed == 3


def test_config_option_takes_precedence(tmp_path: Path, file: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "config.yaml").write_text("seed: 3\n")
    assert settings(tmp_path, file, None).seed == 1


def test_set_takes_precedence_over_the_file(tmp_path: Path, file: Path) -> None:
    chosen = settings(tmp_path, file, ["train.lr=0.5"], "official", "quick", "imagenet", 9)
    assert (chosen.seed, chosen.train.recipe, chosen.model.weights) == (9, "quick", "imagenet")
    assert (chosen.data.protocol, chosen.train.lr) == ("official", 0.5)


def test_options_take_precedence_over_set(tmp_path: Path) -> None:
    assert settings(tmp_path, None, ["seed=4"], seed=5).seed == 5


@given(name=st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1))
def test_a_weights_file_may_have_any_name(name: str) -> None:
    assert settings(Path("nowhere"), None, None, weights=name).model.weights == name


@pytest.mark.parametrize("name", ["my weights #1.h5", r"C:\new\weights.h5", "a: b", "null", "1e5", "[x]"])
def test_weights_file_name_is_not_parsed_as_yaml(name: str) -> None:
    assert settings(Path("nowhere"), None, None, weights=name).model.weights == name


def test_missing_config_file_raises(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        settings(tmp_path, tmp_path / "absent.yaml", None)


def test_unknown_protocol_raises(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"clean.*official"):
        settings(tmp_path, None, None, protocol="fair")
