"""Public names loaded on first use (PEP 562), and checks for optional libraries."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from brainslice.errors import MissingExtraError


def lazy_names(package: str, homes: Mapping[str, str | Sequence[str]]) -> Callable[[str], Any]:
    """Make a package's ``__getattr__`` from its submodules' public names, which are imported on first access."""
    modules = {
        name: f"{package}.{home}"
        for home, names in homes.items()
        for name in (names.split() if isinstance(names, str) else names)
    }

    def load(name: str) -> Any:  # noqa: ANN401 - any public name
        if name not in modules:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(importlib.import_module(modules[name]), name)

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
