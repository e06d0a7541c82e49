"""Verbs that are announced and not there yet."""

from __future__ import annotations

from typing import Annotated, NoReturn, TypeAlias

import typer

from brainslice.errors import UsageError

ANY_WORDS = {"ignore_unknown_options": True, "allow_extra_args": True}
"""Whatever options these verbs will have, giving them today is not the user's mistake."""

Words: TypeAlias = Annotated[list[str] | None, typer.Argument(hidden=True)]


def external(_: Words = None) -> NoReturn:
    """Score a bundle on another site's scans (not there yet)."""
    _announce("external")


def adapt(_: Words = None) -> NoReturn:
    """Fine-tune a bundle for another site (not there yet)."""
    _announce("adapt")


def threshold(_: Words = None) -> NoReturn:
    """Find operating points on tuning data (not there yet)."""
    _announce("threshold")


def _announce(verb: str) -> NoReturn:
    msg = f"brainslice {verb} is not there yet: it comes with the next version; nothing was done"
    raise UsageError(msg)
