"""Download and prepare the main data set: the original command, for `brainslice download` and `prepare`."""

import sys

from brainslice.cli.main import main

main("original-download-and-prepare", *sys.argv[1:])
