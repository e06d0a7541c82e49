"""Typed settings from ``configs/config.yaml``: every key has a default, an unknown key is an error."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from brainslice.errors import ConfigError
from brainslice.yaml_file import load_yaml, read_yaml

Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]

TEXT_KEYS = frozenset({"class_names", "healthy_class"})

RENAMED_KEYS = {
    "trust": "decision",
    "decision.refused": "ood_rejection_rate",
    "adapt.forgetting": "max_forgetting",
    "adapt.curve": "learning_curve",
}
"""Former keys and their current names, sections first; former keys are still accepted."""

_SYNONYMS = {
    "learning_rate": "lr",
    "img_size": "image_size",
    "classes": "class_names",
    "val_size": "valid_split",
    "architecture": "backbone",
}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(_Section):
    """Folders of the scans, classes and split."""

    root: Path = Path("data")
    external: Path = Path("data/external_navoneel")
    cache: Path = Path("data/cache")
    image_size: Annotated[int, Field(ge=32, le=1024)] = 224
    class_names: tuple[str, ...] = ("glioma", "meningioma", "no_tumor", "pituitary")
    healthy_class: str | None = "no_tumor"
    protocol: Literal["clean", "official"] = "clean"
    valid_split: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    folds: Annotated[int, Field(ge=3, le=20)] = 5
    test_fold: Count = 0

    @model_validator(mode="after")
    def _check_fold_and_classes(self) -> DataConfig:
        if self.test_fold >= self.folds:
            msg = f"data.test_fold must be from 0 to {self.folds - 1}, got {self.test_fold}"
            raise ValueError(msg)
        if len(names := self.class_names) < 2 or len(set(names)) != len(names):  # noqa: PLR2004 - two is the least choice
            msg = f"data.class_names must be two or more different names, got {list(names)}"
            raise ValueError(msg)
        return self


class PreprocessingConfig(_Section):
    """Optional steps of the preprocessing, stored in the bundle and repeated at inference."""

    bias_field: Literal["none", "n4"] = "none"
    contrast: Literal["none", "clahe", "nyul"] = "none"


class QuickConfig(_Section):
    """Recipe ``quick``: training above the frozen stages, on cached activations."""

    frozen_stages: Annotated[int, Field(ge=2, le=5)] = 5
    views: Count = 3
    head_epochs: Annotated[int, Field(ge=1)] = 30
    head_lr: Positive = 0.002
    epochs: Count = 14
    lr: Positive = 0.001
    minutes: Positive = 90.0


class LesionConfig(_Section):
    """Use of lesion masks in training, for sets that have them."""

    weight: Annotated[float, Field(ge=0)] = 1.0
    twins: bool = True
    patches: Share = 0.4
    contrast: Share = 0.0


class TrainConfig(_Section):
    """Training."""

    recipe: Literal["quick", "full"] = "quick"
    batch_size: Annotated[int, Field(ge=1)] = 32
    epochs: Annotated[int, Field(ge=1)] = 35
    freeze_backbone_epochs: Count = 5
    lr: Positive = 0.001
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    cosine_decay: bool = True
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    mixed_precision: bool = False
    class_weights: bool = True
    oversampling: bool = False
    loss: Literal["cross_entropy", "focal", "recall_weighted"] = "cross_entropy"
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    recall_weights: tuple[Positive, ...] = ()
    label_smoothing: Share = 0.05
    ema: bool = False
    ema_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.99
    early_stopping: bool = True
    early_stopping_patience: Annotated[int, Field(ge=1)] = 8
    quick: QuickConfig = QuickConfig()
    lesion: LesionConfig = LesionConfig()


class AugmentConfig(_Section):
    """Augmentation: shares of the image size or of the intensity range; rotation in degrees."""

    enabled: bool = True
    flip: bool = True
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 20.0
    zoom: Share = 0.15
    translation: Share = 0.06
    brightness: Share = 0.15
    contrast: Share = 0.25
    gamma: Annotated[float, Field(ge=0, lt=1)] = 0.6
    bias_field: Share = 0.2
    noise: Share = 0.05
    blur: Annotated[float, Field(ge=0, lt=1)] = 0.9
    inversion: Share = 0.05
    mixup: bool = False
    mixup_alpha: Positive = 0.2
    mixup_beta: Positive = 0.2


class ModelConfig(_Section):
    """Network and its initial weights."""

    backbone: str = "efficientnetv2-b0"
    weights: str = "imagenet"
    dropout: Share = 0.2
    multi_level: bool = False
    head: Literal["pyramid", "linear"] = "pyramid"
    contralateral: Share = 0.4
    second_scale: Annotated[float, Field(ge=1, le=2)] = 1.3
    second_network: bool = False


class CalibrationConfig(_Section):
    """Calibration of probabilities and its measurement."""

    temperature: bool = True
    bins: Annotated[int, Field(ge=2, le=100)] = 15


class DecisionConfig(_Section):
    """Prediction sets and the out-of-distribution detector."""

    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.9
    method: Literal["lac", "aps"] = "lac"
    by_group: bool = False
    ood_rejection_rate: Share = 0.02


class InferenceConfig(_Section):
    """Threshold of the verdict."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5


class AdaptConfig(_Section):
    """Fine-tuning of a bundle for another site."""

    folds: Annotated[int, Field(ge=3, le=20)] = 5
    steps: Annotated[int, Field(ge=1)] = 40
    checks: Annotated[int, Field(ge=1)] = 2
    batch_size: Annotated[int, Field(ge=4)] = 32
    lr: Positive = 0.001
    views: Count = 3
    replay: Annotated[int, Field(ge=1)] = 600
    distillation: Annotated[float, Field(ge=0)] = 1.0
    distillation_temperature: Positive = 2.0
    specificity: Annotated[float, Field(gt=0, lt=1)] = 0.9
    max_forgetting: Annotated[float, Field(ge=0, lt=1)] = 0.01
    learning_curve: bool = True


class LogConfig(_Section):
    """Training logs."""

    folder: Path = Path("logs")
    csv: bool = True
    tensorboard: bool = True
    tracker: Literal["none", "mlflow", "wandb"] = "none"
    tracking_uri: str = "local"


class Config(_Section):
    """All settings of a run."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    data: DataConfig = DataConfig()
    preprocessing: PreprocessingConfig = PreprocessingConfig()
    train: TrainConfig = TrainConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    decision: DecisionConfig = DecisionConfig()
    inference: InferenceConfig = InferenceConfig()
    adapt: AdaptConfig = AdaptConfig()
    log: LogConfig = LogConfig()


def read_config(path: Path | None, overrides: tuple[str, ...] = ()) -> Config:
    """Read a configuration file and apply overrides.

    Args:
        path: A YAML file; None for the defaults.
        overrides: Assignments such as ``train.lr=1e-4``; later ones take precedence.

    Raises:
        ConfigError: The file cannot be read, or a key or value is invalid.
    """
    name = "the defaults" if path is None else str(path)
    values, lines = ({}, {}) if path is None else read_yaml(path, RENAMED_KEYS, TEXT_KEYS)
    _rename_old_keys(values)
    for assignment in overrides:
        lines[_override(values, assignment)] = 0
        _rename_old_keys(values)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(name, error, lines)) from error


def _rename_old_keys(values: dict[str, Any]) -> None:
    for old, new in RENAMED_KEYS.items():
        *sections, key = old.split(".")
        inner: Any = values
        for section in sections:
            inner = inner.get(section) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and key in inner:
            value, current = inner.pop(key), inner.get(new)
            inner[new] = current | value if isinstance(current, dict) and isinstance(value, dict) else value


def _override(values: dict[str, Any], assignment: str) -> str:
    """Apply an assignment and return its key."""
    name, equals, text = assignment.partition("=")
    if not equals or not name:
        msg = f"--set must look like train.lr=0.0001, got {assignment!r}"
        raise ConfigError(msg)
    *sections, key = name.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            msg = f"--set {assignment}: {section!r} is a value, not a section"
            raise ConfigError(msg)
        values = inner
    # PyYAML reads 1e-4 as text (YAML 1.1 requires a dot); pydantic converts such text to a number.
    try:
        values[key] = load_yaml(text, TEXT_KEYS, key)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        msg = f"--set {assignment}: {text!r} is not valid YAML; quote it, or close its brackets"
        raise ConfigError(msg) from error
    return name


def _explain(name: str, error: ValidationError, lines: dict[str, int]) -> str:
    detail = error.errors()[0]
    parts = [str(part) for part in detail["loc"]]
    if line := next((lines[key] for end in range(len(parts), 0, -1) if (key := ".".join(parts[:end])) in lines), 0):
        name = f"{name}:{line}"
    if detail["type"] == "value_error":
        return f"{name}: {detail['ctx']['error']}"
    if detail["type"] == "extra_forbidden":
        *sections, key = parts
        where = f" in {'.'.join(sections)}" if sections else ""
        return f"{name}: unknown key {key!r}{where}; {_suggestion(key, _known_keys(sections))}"
    return f"{name}: {'.'.join(parts)}: {detail['msg']}, got {repr(detail['input'])[:80]}"


def _known_keys(sections: list[str]) -> list[str]:
    model: type[BaseModel] = Config
    for section in sections:
        if isinstance(annotation := model.model_fields[section].annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return list(model.model_fields)


def _suggestion(key: str, known: list[str]) -> str:
    names = {name: name for name in known} | {old: new for old, new in _SYNONYMS.items() if new in known}
    close = difflib.get_close_matches(key.casefold(), names, n=1, cutoff=0.5)
    return f"did you mean {names[close[0]]!r}?" if close else f"known keys are {', '.join(known)}"
