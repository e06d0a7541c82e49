from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan.frames import frame_index


@given(st.integers(1, 500), st.data())
def test_frames_are_counted_from_one(count: int, data: st.DataObject) -> None:
    frame = data.draw(st.integers(1, count))
    assert frame_index(frame, count) == frame - 1


def test_one_frame_need_not_be_chosen() -> None:
    assert frame_index(None, 1) == 0


def test_several_frames_are_refused_with_the_verb_and_the_option_that_help() -> None:
    with pytest.raises(UnreadableScanError, match=r"10 frames .*brainslice predict-volume.*--frame N"):
        frame_index(None, 10)
    with pytest.raises(UnreadableScanError, match=r"3 pages .*--frame N") as caught:
        frame_index(None, 3, "pages", volume=False)
    assert "brainslice predict-volume" not in str(caught.value)


@pytest.mark.parametrize("frame", [0, -1, 11])
def test_a_frame_that_is_not_there_is_refused(frame: int) -> None:
    with pytest.raises(UnreadableScanError, match="frame must be 1 to 10"):
        frame_index(frame, 10)
