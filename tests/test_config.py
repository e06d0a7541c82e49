from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.config import Config, read_config
from brainslice.errors import ConfigError

SHIPPED = Path(__file__).parents[1] / "configs" / "config.yaml"


def test_shipped_file_holds_every_default() -> None:
    assert read_config(SHIPPED) == Config() == read_config(None)
    text = SHIPPED.read_text(encoding="utf-8")
    for section in Config.model_fields.values():
        for key in getattr(section.annotation, "model_fields", {}):
            assert f"{key}:" in text


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("train.learning_rte=1", "unknown key 'learning_rte' in train; did you mean 'lr'?"),
        ("train.quick.view=3", "unknown key 'view' in train.quick; did you mean 'views'?"),
        ("tain.lr=1", "unknown key 'tain'; did you mean 'train'?"),
        ("train.xyzzy=1", "known keys are recipe"),
        ("train.lr=fast", "train.lr: Input should be a valid number"),
        ("train.lr=-1", "train.lr: Input should be greater than 0, got -1"),
        ("train.lr=.inf", "train.lr: Input should be a finite number"),
        ("data.protocol=dirty", "data.protocol: Input should be 'clean' or 'official', got 'dirty'"),
        ("seed.deep=1", "seed: Input should be a valid integer"),
    ],
)
def test_invalid_override_names_the_key(word: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(None, (word,))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["train.lr", "=3", "train.lr.deep=1"])
def test_override_without_assignment_raises(word: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("train: {lr: 0.1}\n")
    with pytest.raises(ConfigError, match="--set"):
        read_config(path, (word,))


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"train: [", "not valid YAML"), (b"- 1\n", "keys and values"), (b"\xff\xfe\x00", "YAML"), (b"lr: \xff", "UTF-8")],
)
def test_invalid_file_raises(content: bytes, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=fault) as caught:
        read_config(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration file"):
        read_config(tmp_path / "nothing.yaml")


def test_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("")
    assert read_config(path) == Config()


@given(st.floats(1e-8, 10), st.integers(0, 2**31 - 1))
def test_later_overrides_take_precedence(rate: float, seed: int) -> None:
    found = read_config(SHIPPED, ("train.lr=0.5", f"train.lr={rate!r}", f"seed={seed}"))
    assert (found.train.lr, found.seed) == (rate, seed)


@pytest.mark.parametrize("word", ["train.lr=[", "train.lr={a", "train.lr='x", "model.backbone=@name"])
def test_override_with_invalid_yaml_raises(word: str) -> None:
    with pytest.raises(ConfigError, match=r"is not valid YAML; quote it, or close its brackets") as caught:
        read_config(None, (word,))
    assert str(caught.value).startswith(f"--set {word}: ")
    assert "\n" not in str(caught.value)


def test_former_keys_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("trust: {coverage: 0.8, refused: 0.05}\nadapt: {forgetting: 0.1, curve: false}\n", encoding="utf-8")
    config = read_config(path)
    assert (config.decision.coverage, config.decision.ood_rejection_rate) == (0.8, 0.05)
    assert (config.adapt.max_forgetting, config.adapt.learning_curve) == (0.1, False)


def test_override_of_a_former_key(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("decision: {coverage: 0.8, ood_rejection_rate: 0.05}\n", encoding="utf-8")
    config = read_config(path, ("trust.refused=0.1", "trust.method=aps"))
    decision = config.decision
    assert (decision.coverage, decision.ood_rejection_rate, decision.method) == (0.8, 0.1, "aps")


@pytest.mark.parametrize(
    ("words", "names", "healthy"),
    [
        (("data.class_names=[yes, no]", "data.healthy_class=no"), ("yes", "no"), "no"),
        (("data.class_names=[On, OFF, 01, 1.0]", "data.healthy_class=OFF"), ("On", "OFF", "01", "1.0"), "OFF"),
        (("data={class_names: [1, 2], healthy_class: 2}",), ("1", "2"), "2"),
        (("data.class_names=['yes', \"no\"]", "data.healthy_class=null"), ("yes", "no"), None),
    ],
)
def test_class_names_are_text_as_written(words: tuple[str, ...], names: tuple[str, ...], healthy: str | None) -> None:
    data = read_config(None, words).data
    assert (data.class_names, data.healthy_class) == (names, healthy)


def test_class_names_of_a_file_are_text_as_written(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("data:\n  class_names:\n  - tumor\n  - no\n  healthy_class: no\ntrain: {ema: yes}\n")
    config = read_config(path)
    assert (config.data.class_names, config.data.healthy_class, config.train.ema) == (("tumor", "no"), "no", True)


def test_yaml_that_refers_to_itself_is_an_invalid_value() -> None:
    with pytest.raises(ConfigError, match="valid string"):
        read_config(None, ("data.class_names=&names [*names]",))


BROKEN = (
    *(
        f"{text}\n"
        for text in ("train: [", "train: {lr: 1", "a: b: c", "\t- x", "'open", "&a [*a", "*nowhere", "%YAML 9")
    ),
    *(
        f"{text}\n"
        for text in ("!!python/object:os.system {}", "--- {}\n--- {}", "- 1", "text", "3", "[]\n---", "? [a]\n: b")
    ),
    *(f"train:\n  {text}\n" for text in ("lr: fast", "lr: -1", "lr: .nan", "lr: .inf", "lr: [1]", "lr: {a: 1}", "lr:")),
    *(
        f"train:\n  {text}\n"
        for text in ("batch_size: 0", "batch_size: 1.5", "batch_size: many", "epochs: 0", "loss: mse")
    ),
    *(
        f"train:\n  {text}\n"
        for text in ("optimizer: lion", "recipe: slow", "ema: perhaps", "label_smoothing: 1", "lrr: 1")
    ),
    *(f"train:\n  {text}\n" for text in ("lr: 1\n  lr: 2", "quick: 3", "quick: {view: 1}", "quick: {minutes: 0}")),
    *(f"train:\n  {text}\n" for text in ("lesion: {weight: -1}", "lesion: {patches: 1}")),
    *(f"data:\n  {text}\n" for text in ("folds: 2", "folds: 21", "test_fold: 5", "test_fold: -1", "image_size: 8")),
    *(
        f"data:\n  {text}\n"
        for text in ("class_names: [one]", "class_names: [a, a]", "class_names: 3", "protocol: dirty")
    ),
    *(f"data:\n  {text}\n" for text in ("valid_split: 0.5", "root: [a]", "cache: {}", "image_size: 1e9")),
    *(
        f"{text}\n"
        for text in ("train: 3", "train: [1]", "seed: -1", "seed: 4294967296", "seed: x", "unknown: 1", "1: 2")
    ),
    *(
        f"{text}\n"
        for text in ("seed: 1\nseed: 2", "trust: {}\ndecision: {}", "model: {dropout: 1}", "model: {head: flat}")
    ),
    *(f"{text}\n" for text in ("calibration: {bins: 1}", "decision: {coverage: 1}", "inference: {threshold: 0}")),
    *("seed: " + "[" * depth + "]" * depth for depth in (10, 5000)),
    "a: &a [1, 1]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    "seed: 2025-99-99\n",
    "# " + "x" * (1 << 20),
)


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_each_broken_file_is_one_line_that_names_the_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < len(str(path)) + 600


def test_an_override_has_no_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("train: {lr: 0.1}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(path, ("train.lr=-1",))
    assert str(caught.value).startswith(f"{path}: train.lr: ")
