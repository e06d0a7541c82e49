"""Train a network: the original command's name for `brainslice train`."""

import sys

from brainslice.cli.main import main

main("train", *sys.argv[1:])
