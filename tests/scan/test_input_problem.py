from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan import Plane, Volume
from brainslice.scan.input_problem import InputProblem, InputProblemError, frame_index
from brainslice.scan.read import decode_scan
from brainslice.scan.volume.reader import decode_volume
from hospital import SAGITTAL, head, image, nifti, slice_at, written

HEAD = head(6)
FLAT = Volume(np.ones((3, 8, 8), np.float32), (1.0, 1.0, 6.0), Plane.SAGITTAL, 0.0, evenly_spaced=True, digest="d" * 64)


def placed(heights: list[float], **elements: object) -> dict[str, bytes]:
    return {str(at): slice_at(HEAD[3], height, **elements) for at, height in enumerate(heights)}


@pytest.mark.parametrize(
    ("code", "read"),
    [
        (InputProblem.SEVERAL_FRAMES, lambda: decode_scan(written(image(HEAD)), "x")),
        (InputProblem.SEVERAL_FRAMES, lambda: decode_scan(nifti(HEAD), "x")),
        (InputProblem.SEVERAL_VOLUMES, lambda: decode_volume(placed([0, 2, 4, 4]), "x")),
        (InputProblem.SEVERAL_VOLUMES, lambda: decode_volume({"a": nifti(np.stack([HEAD, HEAD], 3))}, "x")),
        (InputProblem.NO_SERIES, lambda: decode_volume(placed([0, 2]), "x")),
        (InputProblem.NOT_AXIAL, lambda: FLAT.axial_slice(0)),
        (InputProblem.NO_VOLUME, lambda: decode_volume({"a": b"GIF89a"}, "x")),
    ],
)
def test_every_input_problem_has_a_code(code: InputProblem, read: Callable[[], object]) -> None:
    with pytest.raises(UnreadableScanError) as caught:
        read()
    found = caught.value if isinstance(caught.value, InputProblemError) else caught.value.__cause__
    assert isinstance(found, InputProblemError)
    assert found.code is code
    assert str(found).startswith(f"{found.fault}; ")
    assert "brainslice" not in found.fault
    assert "--" not in found.fault


def test_the_listed_series_have_no_names_from_the_file() -> None:
    axial, sagittal = placed([0, 2, 4, 6]), placed([0, 2, 4], directions=SAGITTAL)
    files = axial | {f"other {name}": data for name, data in sagittal.items()}
    with pytest.raises(UnreadableScanError) as caught:
        decode_volume(files, "x")
    found = caught.value.__cause__
    assert isinstance(found, InputProblemError)
    assert found.code is InputProblem.SEVERAL_SERIES
    first, second = found.details["series"]
    assert (first["slices"], first["plane"]) == (4, "axial")
    assert (second["slices"], second["plane"]) == (3, "sagittal")
    assert len(decode_volume(files, "x", series=first["name"]).voxels) == 4


@given(st.integers(1, 500), st.data())
def test_frames_are_counted_from_one(count: int, data: st.DataObject) -> None:
    frame = data.draw(st.integers(1, count))
    assert frame_index(frame, count) == frame - 1


def test_one_frame_need_not_be_chosen() -> None:
    assert frame_index(None, 1) == 0


def test_several_frames_are_refused_with_the_command_and_the_option_to_use() -> None:
    with pytest.raises(UnreadableScanError, match=r"10 frames .*brainslice predict-volume.*--frame N"):
        frame_index(None, 10)
    with pytest.raises(UnreadableScanError, match=r"3 pages .*--frame N") as caught:
        frame_index(None, 3, "pages", volume=False)
    assert "brainslice predict-volume" not in str(caught.value)


@pytest.mark.parametrize("frame", [0, -1, 11])
def test_a_frame_number_out_of_range_is_refused(frame: int) -> None:
    with pytest.raises(UnreadableScanError, match="frame must be 1 to 10"):
        frame_index(frame, 10)
