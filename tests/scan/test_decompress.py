from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.scan.decompress import DEFLATE, decompress


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.integers(1, 200))
def test_gzip_members_are_concatenated_up_to_the_limit(parts: list[bytes], most: int) -> None:
    packed = b"".join(gzip.compress(part, mtime=0) for part in parts)
    assert decompress(packed, most) == b"".join(parts)[:most]


def test_a_decompression_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(200_000_000), mtime=0)
    tracemalloc.start()
    assert len(decompress(bomb, 1000)) == 1000
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_the_time_for_empty_members_grows_with_their_number_only() -> None:
    empty = gzip.compress(b"", mtime=0)
    start = time.process_time()
    assert decompress(empty * 100_000 + gzip.compress(b"scan"), 100) == b"scan"
    assert time.process_time() - start < 5


def test_raw_deflate_data_are_decompressed() -> None:
    packer = zlib.compressobj(wbits=DEFLATE)
    assert decompress(packer.compress(b"scan") + packer.flush(), 100, DEFLATE) == b"scan"


def test_padding_after_the_last_member_is_ignored() -> None:
    assert decompress(gzip.compress(b"scan", mtime=0) + bytes(20), 100) == b"scan"


def test_damaged_data_raise_an_error() -> None:
    with pytest.raises(zlib.error):
        decompress(b"\x1f\x8bnothing of that kind", 100)
