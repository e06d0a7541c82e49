"""Settings of a project as the functions of the API take them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from brainslice.paths import ProjectPaths

if TYPE_CHECKING:
    from brainslice.config import Config

AnyPath: TypeAlias = str | PathLike[str]
"""A file or folder."""

Settings: TypeAlias = "Config | str | PathLike[str] | Mapping[str, object] | None"
"""A configuration, a YAML file, a mapping of dotted keys to values, or None for the project's own file."""

EVALUATION_LIBRARIES: Final = ("sklearn", "scipy", "matplotlib", "jinja2")
TRAINING_LIBRARIES: Final = ("tensorflow", "keras", "onnx", "tf2onnx", "h5py", *EVALUATION_LIBRARIES)
"""Modules of the extra ``train`` that evaluation and training import."""

DEFAULT_CONFIG: Final = Path("configs/config.yaml")


def read_settings(root: AnyPath = ".", config: Settings = None, overrides: Sequence[str] = ()) -> Config:
    """Read the settings of a project.

    Args:
        root: The project's folder.
        config: The settings, see the module's description.
        overrides: Settings such as ``train.lr=1e-4``, later ones win.

    Raises:
        ConfigError: The file cannot be read, or a key or value is invalid.
    """
    from brainslice.config import Config, read_config

    if isinstance(config, Config):
        return config
    if isinstance(config, Mapping):
        # As JSON, text stays text whatever YAML would make of it.
        given = [f"{key}={json.dumps(value, ensure_ascii=False, default=str)}" for key, value in config.items()]
        return read_settings(root, None, (*given, *overrides))
    default = Path(root) / DEFAULT_CONFIG
    path = Path(config) if config is not None else default if default.is_file() else None
    return read_config(path, tuple(overrides))


def open_project(root: AnyPath, config: Settings) -> tuple[Config, ProjectPaths]:
    """Read the settings of a project and locate its files.

    Raises:
        ConfigError: The file cannot be read, or a key or value is invalid.
    """
    chosen = read_settings(root, config)
    return chosen, ProjectPaths.of(Path(root), chosen)
