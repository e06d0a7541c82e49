"""Evaluate on another site: the original command's name for `brainslice external`."""

import sys

from brainslice.cli.main import main

main("external", *sys.argv[1:])
