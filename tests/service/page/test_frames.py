from __future__ import annotations

import io
import json
from collections.abc import Sequence as Several
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.sequence import Sequence

from browser import Visit
from hospital import SAGITTAL, head, image, slice_at, written

HEAD = head(10)


def frames_file(path: Path, heights: Several[float] | None) -> Path:
    """A DICOM file of ten frames, which lie at these heights, or tell none."""
    made = image(HEAD)
    if heights is not None:
        measures, plane = Dataset(), Dataset()
        measures.PixelSpacing, plane.ImageOrientationPatient = [1.0, 1.0], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        shared = Dataset()
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
        made.SharedFunctionalGroupsSequence = Sequence([shared])
        made.PerFrameFunctionalGroupsSequence = Sequence([group_at(height) for height in heights])
    path.write_bytes(written(made))
    return path


def group_at(height: float) -> Dataset:
    position, group = Dataset(), Dataset()
    position.ImagePositionPatient = [0.0, 0.0, float(height)]
    group.PlanePositionSequence = Sequence([position])
    return group


@pytest.fixture(scope="module")
def placeless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return frames_file(tmp_path_factory.mktemp("frames") / "frames.dcm", None)


def predict_frame(visit: Visit, number: int) -> None:
    visit.page.fill("#frame", str(number))
    visit.page.click("#frames button")
    visit.page.wait_for_function(
        "n => document.getElementById('result-title').textContent.includes(`frame ${n} of`)", arg=number
    )
    visit.page.wait_for_selector("#export-json", state="visible")
    visit.settle(1)


def test_file_of_one_stack_is_predicted_as_a_volume(visit: Visit, tmp_path: Path) -> None:
    visit.choose(frames_file(tmp_path / "stack.dcm", range(0, 20, 2)))
    assert visit.words("#verdict .verdict-word") in {"Tumour", "No tumour", "Refer to a person"}
    assert visit.shown("#scroller")
    assert visit.page.get_attribute("#slice", "max") == "10"
    assert not visit.shown("#frames")


def test_of_frames_that_are_no_volume_one_is_chosen_by_its_number(visit: Visit, placeless: Path) -> None:
    visit.choose(placeless)
    assert visit.rows() == ["frames.dcm needs your choice"]
    assert "This file holds 10 frames that are not one volume." in visit.words("#verdict")
    assert visit.words("#frame-label") == "Frame, 1 to 10"
    predict_frame(visit, 3)
    assert visit.words("#result-title") == "frames.dcm · frame 3 of 10"
    assert visit.shown("#pictures")
    assert not visit.shown("#scroller")
    assert visit.shown("#frames")


def test_another_frame_may_be_chosen_after_the_first_and_its_picture_is_shown(visit: Visit, placeless: Path) -> None:
    visit.choose(placeless)
    shown = []
    for number in (2, 5):
        predict_frame(visit, number)
        shown.append(sum(1 for level in visit.pixels("original")[::4] if level > 100))
    # The discs of the file grow towards its middle.
    expected = [np.count_nonzero(HEAD[number - 1]) for number in (2, 5)]
    assert shown == pytest.approx(expected, rel=0.05)


def test_a_frame_is_chosen_by_keyboard_and_the_focus_stays_for_the_next(visit: Visit, placeless: Path) -> None:
    visit.choose(placeless)
    visit.page.focus("#frame")
    visit.page.keyboard.press("ArrowUp")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_selector("#export-json", state="visible")
    assert visit.words("#result-title") == "frames.dcm · frame 6 of 10"
    assert visit.page.evaluate("document.activeElement.id") == "frame"


def test_a_number_that_no_frame_has_is_not_sent(visit: Visit, placeless: Path) -> None:
    visit.choose(placeless)
    asked = len(visit.requests)
    visit.page.fill("#frame", "11")
    visit.page.click("#frames button")
    assert visit.page.evaluate("document.getElementById('frame').validity.rangeOverflow")
    assert len(visit.requests) == asked


def test_what_was_chosen_is_saved_with_the_result(visit: Visit, placeless: Path) -> None:
    visit.choose(placeless)
    predict_frame(visit, 4)
    with visit.page.expect_download() as saved:
        visit.page.click("#export-json")
    assert json.loads(saved.value.path().read_text(encoding="utf-8"))["asked"] == {"slice": 4}
    with visit.page.expect_download() as saved:
        visit.page.click("#export-html")
    assert "frame 4 of 10" in saved.value.path().read_text(encoding="utf-8")


def test_first_of_several_volumes_may_be_chosen(visit: Visit, tmp_path: Path) -> None:
    visit.choose(frames_file(tmp_path / "echoes.dcm", [*range(0, 10, 2)] * 2))
    assert "several images at each position" in visit.words("#verdict")
    assert visit.shown("#frames")
    visit.page.click("#verdict button:has-text('Take the first at each position')")
    visit.page.wait_for_selector("#scroller", state="visible")
    assert visit.words("#result-title") == "echoes.dcm · first image at each position"
    assert visit.page.get_attribute("#slice", "max") == "5"


def test_of_several_series_in_a_folder_one_is_chosen(visit: Visit, tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"a{number}").write_bytes(slice_at(HEAD[number], 2.0 * number))
        (tmp_path / f"b{number}").write_bytes(slice_at(HEAD[number], 2.0 * number, SAGITTAL, SeriesInstanceUID="1.2"))
    visit.page.set_input_files("#folder", str(tmp_path))
    visit.settle(1)
    assert "There are several series." in visit.words("#verdict")
    visit.page.click("#verdict button:has-text(': 9 slices of 48 × 48, axial')")
    visit.page.wait_for_selector("#scroller", state="visible")
    assert visit.page.get_attribute("#slice", "max") == "9"
    assert " · series " in visit.words("#result-title")


def test_a_picture_of_several_pages_offers_them_too(visit: Visit, tmp_path: Path) -> None:
    pages = [Image.fromarray(layer.astype(np.uint8)) for layer in HEAD[2:6]]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    (tmp_path / "pages.tif").write_bytes(stream.getvalue())
    visit.choose(tmp_path / "pages.tif")
    assert visit.words("#frame-label") == "Frame, 1 to 4"
    predict_frame(visit, 4)


def test_no_refusal_sends_anybody_to_a_command_line(visit: Visit, placeless: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for number in range(6):
        (flat / f"{number}.dcm").write_bytes(slice_at(HEAD[number], 6.0 * number, SAGITTAL))
    visit.choose(placeless)
    said = [visit.words("#verdict")]
    for rows, folder in ((2, flat),):
        visit.page.set_input_files("#folder", str(folder))
        visit.settle(rows)
        visit.select(rows)
        said.append(visit.words("#verdict"))
    assert "The slices are sagittal." in said[1]
    assert "1.0 × 6.0 mm" in said[1]
    visit.page.select_option("#language", "es")
    said.append(visit.words("#verdict"))
    assert "Los cortes son sagitales." in said[2]
    assert not [words for words in said if "brainslice" in words or "--" in words or "/explain" in words]


@pytest.mark.real
def test_real_multi_frame_files_are_predicted_or_offer_a_choice(visit: Visit, real_scans: Path) -> None:
    dicom = real_scans / "dicom"
    visit.choose(dicom / "enhanced" / "XA10_6_1.dcm", dicom / "single" / "emri_small.dcm")
    axial, placeless = visit.rows()
    assert axial.split(" ", 1)[1] in {"Tumour", "No tumour", "Refer to a person"}
    assert placeless == "emri_small.dcm needs your choice"
    assert visit.page.get_attribute("#slice", "max") == "6"
    visit.choose(dicom / "enhanced" / "Philips_IM_0027_fMAP.dcm", rows=3)
    visit.select(3)
    visit.page.wait_for_selector("#scroller", state="visible")
    assert visit.page.get_attribute("#slice", "max") == "32"
    assert "real part" in visit.page.inner_text("#result")
