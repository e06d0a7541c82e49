"""Damaged input: every mutant of a file of every format gives a scan or one refusal, and nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest

from brainslice.scan import decode_scan, decode_volume
from hospital import PATIENT, SERIES
from scan_formats import FORMATS, outcome

# Numbers of headers may hold those of the patient by chance.
SECRETS = re.compile(rf"{re.escape(PATIENT)}|{re.escape(SERIES)}|(?<!\d)(4711|19700101)(?!\d)")
# How many mutants of each format; the first of the larger numbers are those of the smaller.
COUNTS = [100, *(pytest.param(count, marks=pytest.mark.slow_only) for count in (2_000, 50_000))]


def mutant(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip, set, cut, repeat, remove or swap in numbers that readers trust, one to four times."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        # Headers are short: half of the changes go there.
        at = int(rng.integers(0, len(changed) if rng.random() < 0.5 else min(len(changed), 600)))
        length = int(rng.integers(1, 64))
        match rng.integers(0, 6):
            case 0:
                changed[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                changed[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF]))
            case 2:
                changed[at : at + 4] = rng.choice(
                    [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"]
                )
            case 3:
                changed[at:at] = changed[at : at + length] * int(rng.integers(1, 20))
            case 4:
                del changed[at : at + length]
            case _:
                changed = changed[: max(1, at)] if rng.random() < 0.3 else changed
        changed = changed or bytearray(b"\0")
    return bytes(changed)


def check(name: str, count: int) -> None:
    rng = np.random.default_rng(len(name))
    for _ in range(count):
        data = mutant(FORMATS[name], rng)
        for message in (
            outcome(lambda data=data: decode_scan(data, "mutant")),
            outcome(lambda data=data: decode_volume({"mutant": data}, "mutant", first=True)),
        ):
            assert message.startswith("mutant: ")
            assert "; " in message
            assert len(message.splitlines()) == 1
            assert not SECRETS.search(message)


@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_mutant_of_each_format_gives_a_scan_or_one_refusal(name: str, count: int) -> None:
    check(name, count)
