"""Classify a scan: the original command's name for `brainslice original-infer`."""

import sys

from brainslice.cli.main import main

main("original-infer", *sys.argv[1:])
