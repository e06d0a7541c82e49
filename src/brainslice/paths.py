"""Where a project keeps what: one folder, the same layout everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from brainslice.config import Config
from brainslice.files import clear_leftovers
from brainslice.lock import exclusive_lock

LOCK_FILE: Final = ".brainslice.lock"
"""Held in a project's folder by the command that writes there."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_HELD: set[Path] = set()
"""Projects that this process has locked."""


@dataclass(frozen=True, slots=True)
class ProjectPaths:
    """The files and folders of one project under one protocol.

    The clean protocol's results lie where everyone looks for them; the official protocol's lie one folder deeper, so
    that nobody takes one for the other.

    Attributes:
        root: The project's folder.
        data: The prepared set.
        cache: Decoded scans and activations; may be deleted at any time.
        models: The bundle and ``best.keras``.
        reports: Figures, tables, histories.
        logs: TensorBoard and CSV logs.
        test_access_log: How often each test set was opened; one for all protocols.
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
        """Lay out a project.

        Args:
            root: The project's folder; relative places in the configuration start here.
            config: Says where data, cache and logs are.
            protocol: ``clean`` or ``official``; the configuration's own where None.
        """
        deeper = "official" if (protocol or config.data.protocol) == "official" else ""
        return cls(
            root=root,
            data=root / config.data.root,
            cache=root / config.data.cache,
            models=root / "models" / deeper,
            reports=root / "reports" / deeper,
            logs=root / config.log.folder / deeper,
            test_access_log=root / "reports" / "test_ledger.jsonl",
        )

    @property
    def bundle(self) -> Path:
        """The folder that predictions need, and nothing else."""
        return self.models / "bundle"

    @property
    def best(self) -> Path:
        """The network as Keras reads it."""
        return self.models / "best.keras"

    @property
    def workspace(self) -> Path:
        """Checkpoints of a training that is under way."""
        return self.models / "unfinished"


@contextmanager
def project_lock(root: Path, doing: str) -> Iterator[None]:
    """Let one command at a time write in a project, and clear what killed commands left there.

    A command that runs others inside, such as ``run``, holds the lock once for all of them.

    Args:
        root: The project's folder.
        doing: What the command does, such as ``training``; a second command names it in its error.

    Raises:
        UsageError: Another process writes in this project.
    """
    place = root.resolve()
    if place in _HELD:
        yield
        return
    with exclusive_lock(place / LOCK_FILE, doing):
        _HELD.add(place)
        try:
            for folder in (
                place,
                place / "data",
                place / "data" / "cache",
                *_folders(place, "models", "reports", "logs"),
            ):
                clear_leftovers(folder)
            yield
        finally:
            _HELD.discard(place)


def writes_project(doing: str) -> Callable[[Callable[_Arguments, _Result]], Callable[_Arguments, _Result]]:
    """Make a function hold ``project_lock`` while it runs; its first argument is a project or a project's folder."""

    def decorate(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
        @wraps(function)
        def locked(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
            place = args[0]
            root = place.root if isinstance(place, ProjectPaths) else Path(str(place))
            with project_lock(root, doing):
                return function(*args, **kwargs)

        return locked

    return decorate


def _folders(root: Path, *names: str) -> Iterator[Path]:
    """Give folders and all folders in them, parents first."""
    for name in names:
        if (root / name).is_dir():
            yield root / name
            yield from sorted(
                path for path in (root / name).rglob("*") if path.is_dir() and not path.name.startswith(".")
            )
