"""Evaluate on another site: the original command's name for `brainslice validate`."""

import sys

from brainslice.cli.main import main

main("validate", *sys.argv[1:])
