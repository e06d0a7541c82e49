"""The command line, called as a person would call it."""

from __future__ import annotations

import pytest

from brainslice.cli.main import main
from stand_in import SETTINGS

WORDS = tuple(word for setting in SETTINGS for word in ("--set", setting))
"""The settings that fit a prepared project, as words of the command line."""


def call(*words: object) -> int:
    """Call the command and give its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(*map(str, words))
    return int(ended.value.code or 0)
