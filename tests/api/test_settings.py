from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.api import read_settings
from brainslice.config import Config
from brainslice.errors import ConfigError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "config.yaml").write_text("seed: 3\n")
    return tmp_path


def test_a_configuration_is_used_as_it_is(project: Path) -> None:
    assert read_settings(project, Config(seed=5)).seed == 5


def test_without_settings_the_project_s_file_applies(project: Path, tmp_path: Path) -> None:
    assert read_settings(str(project)).seed == 3
    assert read_settings(tmp_path / "elsewhere") == Config()


def test_a_mapping_overrides_the_project_s_file(project: Path) -> None:
    chosen = read_settings(project, {"train.lr": 0.5, "model.weights": "no: yaml", "data.protocol": "official"})
    assert (chosen.seed, chosen.train.lr, chosen.model.weights) == (3, 0.5, "no: yaml")


def test_a_file_may_be_a_string_and_overrides_win(project: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("seed: 1\n")
    assert read_settings(project, str(tmp_path / "own.yaml")).seed == 1
    assert read_settings(project, {"seed": 6}, ["seed=7"]).seed == 7


def test_an_unknown_key_is_an_error(project: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'lr'"):
        read_settings(project, {"train.lrr": 1})
