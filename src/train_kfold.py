"""Cross-validate by group: the original command's name for `brainslice crossval`."""

import sys

from brainslice.cli.main import main

main("crossval", *sys.argv[1:])
