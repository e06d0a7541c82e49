"""Evaluate the trained bundle: the original command's name for `brainslice evaluate`."""

import sys

from brainslice.cli.main import main

main("evaluate", *sys.argv[1:])
