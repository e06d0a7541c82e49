"""Public names of a package, loaded on first use (PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping


def lazy_names(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """Make a package's ``__getattr__``.

    Args:
        package: The package's own ``__name__``.
        homes: Submodule to the public names that it defines.

    Returns:
        A function that imports a name's module when the name is first asked for.
    """
    modules = {name: f"{package}.{home}" for home, names in homes.items() for name in names}

    def load(name: str) -> object:
        if name not in modules:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(importlib.import_module(modules[name]), name)

    return load
