"""Verbs that are announced and not there yet."""

from __future__ import annotations

from typing import NoReturn

import typer

from brainslice.errors import UsageError

_ANYTHING = {"ignore_unknown_options": True, "allow_extra_args": True}


def external(context: typer.Context) -> NoReturn:
    """Score a bundle on another site's scans (not there yet)."""
    _announce("external", context)


def adapt(context: typer.Context) -> NoReturn:
    """Fine-tune a bundle for another site (not there yet)."""
    _announce("adapt", context)


def threshold(context: typer.Context) -> NoReturn:
    """Find operating points on tuning data (not there yet)."""
    _announce("threshold", context)


def _announce(verb: str, _: typer.Context) -> NoReturn:
    msg = f"brainslice {verb} is not there yet: it comes with the next version; nothing was done"
    raise UsageError(msg)
