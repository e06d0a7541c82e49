"""The layout of a project's folder, and its lock."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from brainslice.files import clear_leftovers
from brainslice.lock import exclusive_lock

if TYPE_CHECKING:
    from brainslice.config import Config

LOCK_FILE: Final = ".brainslice.lock"
"""The lock file of a project."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_HELD: set[Path] = set()
"""Projects that this process has locked."""


@dataclass(frozen=True, slots=True)
class ProjectPaths:
    """The files and folders of one project under one protocol.

    The official protocol's results are in subfolders ``official``.

    Attributes:
        root: The project's folder.
        data: The prepared data set.
        cache: Decoded scans and activations; may be deleted at any time.
        models: The bundle and ``best.keras``.
        reports: Figures, tables, histories.
        logs: TensorBoard and CSV logs.
        test_access_log: The log of accesses to test sets of all protocols.
    """

    root: Path
    data: Path
    cache: Path
    models: Path
    reports: Path
    logs: Path
    test_access_log: Path

    @classmethod
    def of(cls, root: Path, config: Config, protocol: str | None = None) -> ProjectPaths:
        """Return the paths of a project, under the configuration's protocol by default."""
        subfolder = "official" if (protocol or config.data.protocol) == "official" else ""
        return cls(
            root=root,
            data=root / config.data.root,
            cache=root / config.data.cache,
            models=root / "models" / subfolder,
            reports=root / "reports" / subfolder,
            logs=root / config.log.folder / subfolder,
            test_access_log=root / "reports" / "test_ledger.jsonl",
        )

    @property
    def bundle(self) -> Path:
        """The model bundle."""
        return self.models / "bundle"

    @property
    def best(self) -> Path:
        """The Keras network."""
        return self.models / "best.keras"

    @property
    def workspace(self) -> Path:
        """Checkpoints of an unfinished training."""
        return self.models / "unfinished"


@contextmanager
def project_lock(root: Path, doing: str) -> Iterator[None]:
    """Lock a project for writing, and clear leftovers of killed commands; nested locks of a process are allowed.

    Raises:
        UsageError: Another process writes in this project.
    """
    folder = root.resolve()
    if folder in _HELD:
        yield
        return
    with exclusive_lock(folder / LOCK_FILE, doing):
        _HELD.add(folder)
        try:
            data = folder / "data"
            for each in (folder, data, data / "cache", *_folders(folder, "models", "reports", "logs")):
                clear_leftovers(each)
            yield
        finally:
            _HELD.discard(folder)


@contextmanager
def lock_of_caller(root: Path) -> Iterator[None]:
    """Write in a project that the calling process has locked for as long as this process runs."""
    _HELD.add(root.resolve())
    try:
        yield
    finally:
        _HELD.discard(root.resolve())


def writes_project(doing: str) -> Callable[[Callable[_Arguments, _Result]], Callable[_Arguments, _Result]]:
    """Decorate a function to hold ``project_lock`` on its argument ``root``, or on that of its argument ``paths``."""

    def decorate(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
        signature = inspect.signature(function)

        @wraps(function)
        def locked(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            root = given["paths"].root if "paths" in given else Path(given["root"])
            with project_lock(root, doing):
                return function(*args, **kwargs)

        return locked

    return decorate


def project_of(bundle: Path) -> Path:
    """Return the project that a bundle belongs to: the parent of the folder ``models`` around it, or its own parent."""
    folder = bundle.resolve()
    return next((parent.parent for parent in folder.parents if parent.name == "models"), folder.parent)


def _folders(root: Path, *names: str) -> Iterator[Path]:
    """Yield folders and their subfolders, parents first."""
    for name in names:
        if (root / name).is_dir():
            yield root / name
            yield from sorted(
                path for path in (root / name).rglob("*") if path.is_dir() and not path.name.startswith(".")
            )
