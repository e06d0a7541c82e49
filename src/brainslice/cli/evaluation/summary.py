"""``brainslice summary``: both protocols side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brainslice.bundle.migration import RENAMED_IN_REPORTS, rename_keys
from brainslice.cli.console import print_line, table
from brainslice.cli.options import ConfigFile, Overrides, Root, settings
from brainslice.errors import DatasetError
from brainslice.paths import ProjectPaths


def summary(root: Root = Path(), config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Show both protocols side by side."""
    from brainslice.report.documents import protocol_table

    chosen = settings(root, config, overrides)
    clean, official = (
        _read(ProjectPaths.of(root, chosen, name).reports / "report.json") for name in ("clean", "official")
    )
    if clean is None and official is None:
        msg = f"{root / 'reports'}: holds no report.json; run brainslice train and brainslice evaluate first"
        raise DatasetError(msg)
    shown = protocol_table(clean, official)
    table(shown.title, shown.header, shown.rows)
    for line in shown.footnotes:
        print_line(line)
    for path in sorted((ProjectPaths.of(root, chosen, "clean").reports / "external").glob("*.json")):
        _tell_external(_read(path))


def _tell_external(told: dict[str, Any] | None) -> None:
    """Show what bundles came to at another site; what an adaptation came to is in its own table there."""
    from brainslice.report.external_site import site_table

    if told is not None and "entries" in told:
        shown = site_table(told)
        table(shown.title, shown.header, shown.rows)
        for line in shown.footnotes:
            print_line(line)


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
    return rename_keys(found, RENAMED_IN_REPORTS)
