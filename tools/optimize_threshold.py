"""Find a threshold: the original command's name for `brainslice threshold`."""

import sys

from brainslice.cli.main import main

main("threshold", *sys.argv[1:])
