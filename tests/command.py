"""Calls of the command line."""

from __future__ import annotations

import os

import pytest

from brainslice.cli.main import DEBUG, main
from stand_in import SETTINGS

WORDS = tuple(word for setting in SETTINGS for word in ("--set", setting))
"""The settings of the prepared project as command-line arguments."""


def call(*words: object) -> int:
    """Call the command and return its exit code."""
    with pytest.MonkeyPatch.context() as patched:
        # The option --debug sets the variable for the whole process.
        patched.setenv(DEBUG, os.environ.get(DEBUG, ""))
        with pytest.raises(SystemExit) as ended:
            main(*map(str, words))
    return int(ended.value.code or 0)
