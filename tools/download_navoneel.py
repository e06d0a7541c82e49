"""Download the external data set: the original command, for `brainslice download navoneel`."""

import sys

from brainslice.cli.main import main

main("original-download-external", *sys.argv[1:])
