"""Public names loaded on first use (PEP 562), and checks for optional libraries."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from brainslice.errors import MissingExtraError


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Make a package's ``__getattr__``, which imports a public name on first access.

    Args:
        package: The package's name.
        modules: The names of each submodule, separated by spaces.
    """
    module_of = {name: f"{package}.{module}" for module, names in modules.items() for name in names.split()}

    def load(name: str) -> Any:  # noqa: ANN401 - any public name
        if name not in module_of:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(importlib.import_module(module_of[name]), name)

    return load


def is_installed(module: str) -> bool:
    """Check whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def require_extra(extra: str, purpose: str, *modules: str) -> None:
    """Check that the libraries of an optional extra are installed.

    Raises:
        MissingExtraError: One is missing.
    """
    missing = [name for name in modules if not is_installed(name)]
    if missing:
        msg = f"{purpose} needs {', '.join(missing)}; install with: pip install 'brainslice[{extra}]'"
        raise MissingExtraError(msg)
