"""Public names loaded on first use (PEP 562), and checks for optional libraries."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from brainslice.errors import MissingExtraError


def lazy_names(package: str) -> Callable[[str], Any]:
    """Make a package's ``__getattr__``, which imports a public name on first access.

    The public names are those that the package's ``__init__`` imports under ``if TYPE_CHECKING``: type checkers and
    this function read the same list.
    """

    @cache
    def module_of() -> dict[str, str]:
        tree = ast.parse(inspect.getsource(sys.modules[package]))
        imports = [node for block in tree.body if isinstance(block, ast.If) for node in block.body]
        return {
            alias.name: str(node.module) for node in imports if isinstance(node, ast.ImportFrom) for alias in node.names
        }

    def load(name: str) -> Any:  # noqa: ANN401 - any public name
        if name.startswith("__") or name not in module_of():
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(importlib.import_module(module_of()[name]), name)

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
