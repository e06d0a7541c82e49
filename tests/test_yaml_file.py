from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.config import read_config
from brainslice.errors import ConfigError
from brainslice.yaml_file import read_yaml


def test_lines_are_those_of_current_names(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("# settings\ntrain:\n  lr: 1\nold: {key: [2]}\n", encoding="utf-8")
    values, lines = read_yaml(path, {"old": "new", "new.key": "name"})
    assert values == {"train": {"lr": 1}, "old": {"key": [2]}}
    assert lines == {"train": 2, "train.lr": 3, "new": 4, "new.name": 4}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("seed: 1\ntrain:\n  lr: fast\n", ":3: train.lr"),
        ("train:\n  quick:\n    view: 1\n", ":3: unknown key 'view' in train.quick"),
        ("train:\n  lr: 1\n\n  lr: 2\n", ":4: key train.lr occurs again, first in line 2"),
        ("data:\n  folds: 3\n  test_fold: 3\n", ":1: data.test_fold must be from 0 to 2, got 3"),
        ("seed: [[[[[[1]]]]]]\n", ":1: nested over 5 deep"),
        ("a: &a [1]\nb: *a\n", ":1: an alias must not repeat"),
    ],
)
def test_messages_name_the_line(text: str, where: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}{where}")
