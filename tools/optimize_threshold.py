"""Find a threshold: the original command's name for `brainslice threshold`."""

import sys

from brainslice.cli.main import main

main("threshold", "--save", *sys.argv[1:])
