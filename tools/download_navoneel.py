"""Download the external data set: the original command's name for `brainslice original-download-external`."""

import sys

from brainslice.cli.main import main

main("original-download-external", *sys.argv[1:])
