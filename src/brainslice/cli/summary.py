"""``brainslice summary``: both protocols side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brainslice.cli.console import say, table
from brainslice.cli.options import ConfigFile, Overrides, Root, settings
from brainslice.errors import DatasetError
from brainslice.places import Places


def summary(root: Root = Path(), config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Show both protocols side by side."""
    from brainslice.report.documents import side_by_side

    chosen = settings(root, config, overrides)
    clean, official = (_read(Places.of(root, chosen, name).reports / "report.json") for name in ("clean", "official"))
    if clean is None and official is None:
        msg = f"{root / 'reports'}: holds no report.json; run brainslice train and brainslice evaluate first"
        raise DatasetError(msg)
    shown = side_by_side(clean, official)
    table(shown.title, shown.header, shown.rows)
    for line in shown.footnotes:
        say(line)
    for path in sorted((Places.of(root, chosen, "clean").reports / "external").glob("*.json")):
        _tell_external(_read(path))


def _tell_external(told: dict[str, Any] | None) -> None:
    """Show what bundles came to at another site; what an adaptation came to is in its own table there."""
    from brainslice.report.site import told_table

    if told is not None and "entries" in told:
        shown = told_table(told)
        table(shown.title, shown.header, shown.rows)
        for line in shown.footnotes:
            say(line)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path}: is no report of ours ({error}); run brainslice evaluate again"
        raise DatasetError(msg) from error
    if not isinstance(found, dict):
        msg = f"{path}: is no report of ours (it holds a {type(found).__name__}); run brainslice evaluate again"
        raise DatasetError(msg)
    return found
