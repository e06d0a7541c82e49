"""Start two commands at the same moment in forked processes, again and again.

Called as a program with a folder for what they print and a list of pairs of commands as JSON; prints the pairs of exit
codes. The libraries are imported once, before the processes fork.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

LIBRARIES = (
    "brainslice.api.data",
    "brainslice.api.evaluation",
    "brainslice.api.lifecycle",
    "brainslice.api.thresholds",
    "brainslice.evaluation.external_validation",
    "brainslice.report.writer",
    "brainslice.report.html.page",
    "brainslice.training.adaptation.pipeline",
    "small_training",
)


def _start(words: Sequence[str], output: Path, gate: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.read(gate, 1)
        code = _call(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _call(words: Sequence[str]) -> int:
    from brainslice.cli.main import main
    from brainslice.training import pipeline
    from brainslice.training.adaptation import data
    from small_training import keras_frozen_part, rebuilt_network, small_network

    pipeline.build_network, data.build_network = small_network, rebuilt_network
    data.fast_frozen_part = lambda network, *_: keras_frozen_part(network)
    try:
        main(*words)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _main(folder: Path, pairs: Sequence[Sequence[Sequence[str]]]) -> list[list[int]]:
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "Agg"}
    for name in LIBRARIES:
        importlib.import_module(name)
    codes = []
    for number, pair in enumerate(pairs):
        gate, opener = os.pipe()
        children = [
            _start(words, folder / f"{number:02d}{side}.txt", gate) for side, words in zip("ab", pair, strict=True)
        ]
        os.write(opener, b"go")
        codes.append([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
        os.close(gate)
        os.close(opener)
    return codes


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_main(Path(sys.argv[1]), json.loads(sys.argv[2]))) + "\n")
