"""Fuzz readers with inputs that reach new code (atheris, libFuzzer): a scan, a volume or one refusal, nothing else.

    python tests/fuzz_readers.py PNG "DICOM, frames" --seconds 600

fuzzes each format, all where none is named, and prints a line of figures for each. The exit code is 1 where an input
broke the promise; it lies in ``--output``. Formats are those of ``scan_formats.py``, whose files are the first inputs.
Only Python code guides the search: decoders in C and in processes of their own run, but are not measured.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import atheris

with atheris.instrument_imports(include=["brainslice.scan", "pydicom", "nibabel", "PIL"]):
    from brainslice.scan import decode_scan, decode_volume
    from scan_formats import FORMATS, outcome


def check(data: bytes) -> None:
    """Read bytes as a scan and as a volume."""
    outcome(lambda: decode_scan(data, "mutant"))
    outcome(lambda: decode_volume({"mutant": data}, "mutant", first=True))


def fuzz(name: str, seconds: int, output: Path) -> bool:
    """Fuzz one format in a forked process, since libFuzzer ends its process; return whether the promise held."""
    log = output / f"{name}.log"
    limits = (
        f"-max_total_time={seconds}",
        "-max_len=65536",
        "-timeout=60",
        "-report_slow_units=60",
        "-rss_limit_mb=2048",
    )
    words = (*limits, f"-artifact_prefix={output}/{name}-", "-print_final_stats=1", "-seed=1")
    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "first").write_bytes(FORMATS[name])
        child = os.fork()
        if child == 0:
            _fuzz_here([sys.argv[0], *words, corpus], log)
        held = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    text = log.read_text(encoding="utf-8", errors="replace")
    inputs, memory = (
        (re.findall(rf"stat::{figure}:\s*(\d+)", text) or ["?"])[-1]
        for figure in ("number_of_executed_units", "peak_rss_mb")
    )
    sys.stdout.write(f"{name}: {inputs} inputs in {seconds} s, {memory} MB{'' if held else '; broke the promise'}\n")
    sys.stdout.flush()
    return held


def _fuzz_here(words: list[str], log: Path) -> NoReturn:
    try:
        with log.open("wb") as stream:
            for descriptor in (1, 2):
                os.dup2(stream.fileno(), descriptor)
        atheris.Setup(words, check)
        atheris.Fuzz()
    finally:
        os._exit(1)


def main() -> None:
    """Fuzz formats one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=f"of {', '.join(FORMATS)}; all by default")
    parser.add_argument("--seconds", type=int, default=600, help="for each format")
    parser.add_argument("--output", type=Path, default=Path("fuzzed"), help="folder of inputs that break the promise")
    options = parser.parse_args()
    if unknown := set(options.formats) - set(FORMATS):
        parser.error(f"unknown formats {', '.join(sorted(unknown))}; known are {', '.join(FORMATS)}")
    options.output.mkdir(parents=True, exist_ok=True)
    broken = [name for name in options.formats or FORMATS if not fuzz(name, options.seconds, options.output)]
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
