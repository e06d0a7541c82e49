"""Settings to search and their values, as a command line or a YAML file states them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from brainslice.config import read_config
from brainslice.errors import ConfigError, UsageError
from brainslice.yaml_file import read_yaml

Space: TypeAlias = Mapping[str, BaseDistribution]
"""The values to try, for each setting."""

_SEARCHABLE: Final = ("train.", "augment.", "model.", "preprocessing.", "data.image_size")
_RANGE: Final = re.compile(r"(?P<log>log:)?(?P<low>[-+.\de]+?)\.\.(?P<high>[-+.\de]+)", re.IGNORECASE)


def parse_space(assignments: Sequence[str]) -> dict[str, BaseDistribution]:
    """Parse settings to search.

    Args:
        assignments: ``train.quick.lr=log:1e-4..1e-2`` (a range, here on a logarithmic scale), ``model.dropout=0..0.5``
            or ``model.head=linear|pyramid`` (choices). Settings that are whole numbers stay so.

    Raises:
        ConfigError: A setting is unknown or cannot be searched, or its values are invalid.
    """
    space: dict[str, BaseDistribution] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.startswith(_SEARCHABLE):
            msg = f"a setting to search must look like train.lr=log:1e-4..1e-2, in {_names()}, got {assignment!r}"
            raise ConfigError(msg)
        space[key] = _distribution(key, text)
    if not space:
        msg = "a sweep needs settings to search, such as train.quick.lr=log:1e-4..1e-2"
        raise UsageError(msg)
    return space


def read_space(path: Path) -> list[str]:
    """Read settings to search from a YAML file with a line ``train.quick.lr: log:1e-4..1e-2`` for each.

    Raises:
        ConfigError: The file cannot be read or is not such YAML.
    """
    values, _ = read_yaml(path, {})
    return [f"{key}={value if isinstance(value, str) else format_value(value)}" for key, value in values.items()]


def _distribution(key: str, text: str) -> BaseDistribution:
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        choices = [each.strip() for each in text.removeprefix("log:").split("|")]
        values = [_checked(key, each) for each in choices]
        if any(isinstance(value, tuple) for value in values):
            msg = f"{key}={text}: {key} is a list, which cannot be searched; give it with --set"
            raise ConfigError(msg)
        return CategoricalDistribution(values)
    low, high = (_checked(key, found[end]) for end in ("low", "high"))
    if isinstance(low, bool) or not isinstance(low, int | float):
        msg = f"{key}={text}: {key} is no number; give choices such as {key}=a|b"
        raise ConfigError(msg)
    try:
        logarithmic = found["log"] is not None
        if isinstance(low, int):
            return IntDistribution(low, int(high), log=logarithmic)
        return FloatDistribution(low, high, log=logarithmic)
    except ValueError as error:
        msg = f"{key}={text}: must be LOW..HIGH with LOW below HIGH, and above 0 after log:"
        raise ConfigError(msg) from error


def _checked(key: str, text: str) -> Any:  # noqa: ANN401 - the value of any setting
    """Return a value as the configuration reads it."""
    value: Any = read_config(None, (f"{key}={text}",))
    for section in key.split("."):
        value = getattr(value, section)
    return value


def _names() -> str:
    return ", ".join(name.rstrip(".") for name in _SEARCHABLE)


def format_value(value: object) -> str:
    """Spell a value as ``--set`` and YAML read it."""
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)
