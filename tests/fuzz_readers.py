"""Fuzz a reader with inputs that reach new code (atheris, libFuzzer): a scan, a volume or one refusal, nothing else.

    python tests/fuzz_readers.py PNG --seconds 600

ends with exit code 0, or with another one and the input that broke the promise in ``--output``. Formats are those of
``scan_formats.py``, whose files are the first inputs. Only Python code guides the search: decoders in C and in
processes of their own run, but are not measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["brainslice.scan", "pydicom", "nibabel", "PIL"]):
    from brainslice.scan import decode_scan, decode_volume
    from scan_formats import FORMATS, outcome


def check(data: bytes) -> None:
    """Read bytes as a scan and as a volume."""
    outcome(lambda: decode_scan(data, "mutant"))
    outcome(lambda: decode_volume({"mutant": data}, "mutant", first=True))


def main() -> None:
    """Fuzz one format for a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=sorted(FORMATS))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--output", type=Path, default=Path("fuzzed"), help="folder of inputs that break the promise")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "first").write_bytes(FORMATS[options.format])
        limits = (f"-max_total_time={options.seconds}", "-max_len=65536", "-timeout=60", "-rss_limit_mb=2048")
        output = (f"-artifact_prefix={options.output}/", "-print_final_stats=1", "-seed=1")
        atheris.Setup([sys.argv[0], *limits, *output, corpus], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
