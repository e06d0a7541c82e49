from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.errors import ConfigError, UsageError

optuna = pytest.importorskip("optuna", reason="needs the extra brainslice[sweep]")

from brainslice.training.search_space import parse_space, read_space  # noqa: E402 - needs optuna


def test_values_have_the_types_of_their_settings() -> None:
    space = parse_space(
        (
            "train.quick.lr=log:1e-4..1e-2",
            "train.quick.epochs=5..20",
            "augment.rotation_degrees=0..30",
            "model.head=linear|pyramid",
            "train.ema=true|false",
            "train.batch_size=16|32",
        )
    )
    assert space["train.quick.lr"] == optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)
    assert space["train.quick.epochs"] == optuna.distributions.IntDistribution(5, 20)
    assert space["augment.rotation_degrees"] == optuna.distributions.FloatDistribution(0.0, 30.0)
    assert space["model.head"] == optuna.distributions.CategoricalDistribution(["linear", "pyramid"])
    assert space["train.ema"] == optuna.distributions.CategoricalDistribution([True, False])
    assert space["train.batch_size"] == optuna.distributions.CategoricalDistribution([16, 32])


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("train.lr", "must look like train.lr=log:1e-4..1e-2"),
        ("data.test_fold=0|1", r"in train, augment, model, preprocessing, data.image_size, got 'data.test_fold=0|1'"),
        ("train.learning_rte=1|2", "unknown key 'learning_rte' in train; did you mean 'lr'"),
        ("model.dropout=0..1.5", "model.dropout: Input should be less than 1"),
        ("model.dropout=0.5..0.1", "must be LOW..HIGH with LOW below HIGH"),
        ("model.dropout=log:0..0.5", "above 0 after log:"),
        ("train.ema=0..1", "train.ema is no number"),
        ("train.recall_weights=[1, 2]|[2, 1]", "is a list, which cannot be searched"),
    ],
)
def test_invalid_spaces_are_refused(assignment: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_space((assignment,))


def test_space_is_read_from_yaml(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("train.quick.lr: log:1e-4..1e-2\nmodel.head: linear|pyramid\nmodel.dropout: 0.25\n")
    assert read_space(file) == ["train.quick.lr=log:1e-4..1e-2", "model.head=linear|pyramid", "model.dropout=0.25"]


def test_empty_space_is_refused() -> None:
    with pytest.raises(UsageError, match="a sweep needs settings to search, such as train"):
        parse_space(())
