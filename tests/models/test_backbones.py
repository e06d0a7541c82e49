from __future__ import annotations

import math

import keras
import pytest

from brainslice.errors import ConfigError
from brainslice.models.backbones import BACKBONES, get_backbone

# The papers' tables: how many blocks the fifth stage has, and how much deeper each member of the first family is.
DEPTH_OF_FIRST_FAMILY = {"b0": 1.0, "b1": 1.1, "b2": 1.2, "b3": 1.4, "b4": 1.8, "b5": 2.2, "b6": 2.6, "b7": 3.1}
FIFTH_STAGE = {
    **{f"efficientnet-{name}": math.ceil(3 * depth) for name, depth in DEPTH_OF_FIRST_FAMILY.items()},
    "efficientnetv2-b0": 5,
    "efficientnetv2-b1": math.ceil(5 * 1.1),
    "efficientnetv2-b2": math.ceil(5 * 1.2),
    "efficientnetv2-b3": math.ceil(5 * 1.4),
    "efficientnetv2-s": 9,
    "efficientnetv2-m": 14,
    "efficientnetv2-l": 19,
}


def test_the_table_holds_every_backbone_that_was_asked_for() -> None:
    assert set(BACKBONES) == set(FIFTH_STAGE)


@pytest.mark.parametrize("name", BACKBONES)
def test_each_row_names_a_builder_of_keras_and_the_last_block_of_the_fifth_stage(name: str) -> None:
    row = BACKBONES[name]
    letter = chr(ord("a") + FIFTH_STAGE[name] - 1)
    assert row.cut == f"block5{letter}_add"
    assert callable(getattr(keras.applications, row.builder))
    assert row.builder.casefold() == name.replace("-", "")
    assert row.family == ("v2" if "v2" in name else "v1")


@pytest.mark.parametrize(
    "spelling", ["EfficientNetV2B0", "efficientnetv2-b0", "EFFICIENTNETV2_B0", "efficientnet v2 b0"]
)
def test_case_and_dashes_do_not_count(spelling: str) -> None:
    assert get_backbone(spelling).name == "efficientnetv2-b0"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"got 'efficientnetv2-b9'; did you mean 'efficientnetv2-b\d'\?"):
        get_backbone("efficientnetv2-b9")


@pytest.mark.parametrize("name", BACKBONES)
def test_black_and_white_become_what_the_backbone_was_trained_on(name: str) -> None:
    row = BACKBONES[name]
    black, white = row.offset, [255 * scale + shift for scale, shift in zip(row.scale, row.offset, strict=True)]
    if name in {"efficientnetv2-s", "efficientnetv2-m", "efficientnetv2-l"}:
        assert black == (-1, -1, -1)
        assert white == pytest.approx([255 / 128 - 1] * 3)
    else:
        assert black == pytest.approx([-2.1179, -2.0357, -1.8044], abs=1e-4)
        assert white == pytest.approx([2.2489, 2.4286, 2.6400], abs=1e-4)
