"""Fine-tune for another site: the original command's name for `brainslice adapt`."""

import sys

from brainslice.cli.main import main

main("adapt", *sys.argv[1:])
