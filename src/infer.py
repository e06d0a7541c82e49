"""Classify a scan: the original command, for `brainslice predict`."""

import sys

from brainslice.cli.main import main

main("original-infer", *sys.argv[1:])
