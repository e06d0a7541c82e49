from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from brainslice.inference.prediction import format_percent
from browser import Visit
from hospital import slice_at

SLICES = 24
THIN = range(9, 14)
"""Slices, from 0, whose skull is thin; the stand-in calls them tumours."""


def head(rim: int) -> np.ndarray:
    picture = Image.new("L", (96, 112), 0)
    pen = ImageDraw.Draw(picture)
    pen.ellipse((8, 8, 88, 104), fill=60)
    pen.ellipse((8, 8, 88, 104), outline=250, width=rim)
    return np.asarray(picture)


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head of which a few slices in the middle look like a tumour to the stand-in, and the lowest is empty."""
    nibabel = pytest.importorskip("nibabel")
    slices = [head(2 if number in THIN else 18) for number in range(SLICES)]
    slices[0] = np.zeros_like(slices[0])
    # Rows run from anterior to posterior and columns from right to left; NIfTI counts towards right-anterior-superior.
    voxels = np.stack(slices, axis=-1).transpose(1, 0, 2)[:, ::-1]
    path = tmp_path_factory.mktemp("volume") / "head.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(voxels), np.diag([-1.0, 1.0, 1.0, 1.0])), path)
    return path


@pytest.fixture
def opened(visit: Visit, volume: Path) -> Visit:
    visit.choose(volume)
    visit.page.wait_for_function("() => document.getElementById('seen').width > 1")
    return visit


def label(visit: Visit) -> str:
    return visit.words("#slice-label")


def on_slice(visit: Visit, number: int) -> None:
    visit.page.wait_for_function(
        "number => document.getElementById('slice-label').textContent.startsWith(`Slice ${number} of`)", arg=number
    )


def test_nifti_file_is_predicted_as_a_volume(opened: Visit) -> None:
    assert opened.rows() == ["head.nii.gz Tumour"]
    assert opened.words("#verdict").startswith("Tumour The pooled, uncalibrated probability")


def test_curve_has_a_point_for_each_predicted_slice(opened: Visit) -> None:
    assert opened.page.get_attribute("#curve .line", "data-points") == str(SLICES - 1)
    assert opened.page.get_attribute("#slice", "max") == str(SLICES)
    assert f"over {SLICES} slices" in opened.page.get_attribute("#curve", "aria-label")


def test_it_opens_on_a_slice_that_carries_the_answer(opened: Visit) -> None:
    number = int(label(opened).split()[1])
    assert number - 1 in THIN


def test_it_says_plainly_what_the_answer_is_worth(opened: Visit) -> None:
    assert "The model was trained on single slices" in opened.words("#volume-notes")
    assert "The probability of the volume is not calibrated" in opened.words("#volume-notes")
    assert opened.words("#probabilities-title") == "Pooled probabilities, not calibrated"


def test_figures_of_single_slices_are_not_shown_for_a_volume(opened: Visit) -> None:
    assert not opened.shown("#threshold-part")
    assert not opened.shown("#set")


def test_shown_image_is_the_predicted_slice(opened: Visit) -> None:
    # On both sides of where the slices change, so that a neighbour's picture would be found out.
    for number in (THIN[0], THIN[0] + 1, THIN[-1] + 1, THIN[-1] + 2):
        opened.slide("#slice", number)
        on_slice(opened, number)
        wide = 96
        middle = 4 * (56 * wide + 8)
        rim = 250 if number - 1 not in THIN else 60
        opened.page.wait_for_function(
            """([place, rim]) => { const canvas = document.getElementById("original");
                const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                return (data[place + 4 * 8] > 200) === (rim === 250); }""",
            arg=[middle, rim],
        )


def test_arrow_keys_scroll_through_the_slices(opened: Visit) -> None:
    opened.slide("#slice", 5)
    opened.page.focus("#slice")
    opened.page.keyboard.press("ArrowRight")
    on_slice(opened, 6)
    opened.page.keyboard.press("ArrowLeft")
    opened.page.keyboard.press("ArrowLeft")
    on_slice(opened, 4)
    opened.page.keyboard.press("End")
    on_slice(opened, SLICES)


def test_the_wheel_over_the_picture_scrolls_through_the_slices(opened: Visit) -> None:
    opened.slide("#slice", 5)
    opened.page.hover("#seen")
    opened.page.mouse.wheel(0, 100)
    on_slice(opened, 6)
    opened.page.mouse.wheel(0, -100)
    on_slice(opened, 5)


def test_a_click_on_the_curve_jumps_to_that_slice(opened: Visit) -> None:
    box = opened.page.locator("#curve").bounding_box()
    opened.page.locator("#curve").click(position={"x": (15.5 / SLICES) * box["width"], "y": 20})
    on_slice(opened, 16)


def test_a_button_jumps_to_the_slice_that_speaks_most(opened: Visit) -> None:
    opened.slide("#slice", 3)
    opened.page.click("#carrying button")
    assert int(label(opened).split()[1]) - 1 in THIN


def test_slice_without_a_head_has_no_prediction_and_no_map(opened: Visit) -> None:
    with opened.page.expect_response("**/slices/1") as answered:
        opened.slide("#slice", 1)
    assert answered.value.status == 200
    assert label(opened) == f"Slice 1 of {SLICES}: not predicted, it shows too little of a head"
    opened.page.wait_for_selector("#map", state="hidden")
    assert not opened.shown("#slice-problem")


def test_what_is_said_of_a_slice_is_what_its_picture_is_answered_with(opened: Visit) -> None:
    """The probability under the slider comes from the curve, the picture from an address of its own."""
    study = next(found.split("/")[-3] for found in opened.requests if "/slices/" in found)
    for number in (THIN[0] + 1, 20):
        told = opened.page.request.get(f"{opened.address}volume/{study}/slices/{number}").json()
        opened.slide("#slice", number)
        opened.page.wait_for_function(
            """async address => {
                const { decode } = await import("/picture.js");
                const { data } = await decode(address);
                const canvas = document.getElementById("original");
                const shown = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                return shown.length === data.length && shown.every((level, place) => level === data[place]);
            }""",
            arg=told["original"],
        )
        assert format_percent(told["prediction"]["tumour_probability"]) in label(opened)


def test_pictures_of_a_volume_say_which_side_is_which(opened: Visit) -> None:
    assert opened.shown(".side.left")
    letters = opened.page.locator(".panels figure:first-child .side").all_inner_texts()
    assert letters == ["A", "L", "P", "R"]


def test_the_neighbours_of_a_slice_are_there_before_they_are_asked_for(opened: Visit) -> None:
    with opened.page.expect_response("**/slices/5"):
        opened.slide("#slice", 5)
    opened.slide("#slice", 6)
    opened.page.wait_for_function("() => document.getElementById('pictures').ariaBusy === 'false'")
    assert len([address for address in opened.requests if address.endswith("/slices/5")]) == 1


def test_no_picture_stands_under_the_number_of_a_slice_that_is_still_on_its_way(opened: Visit) -> None:
    held = opened.hold("**/slices/20")
    opened.slide("#slice", 20)
    opened.page.wait_for_selector("#seen", state="hidden")
    held[0].continue_()
    opened.page.wait_for_selector("#seen", state="visible")


def test_no_picture_of_another_scan_stands_under_a_volume_that_is_still_on_its_way(
    visit: Visit, volume: Path, tumour: Path
) -> None:
    visit.choose(tumour, volume)
    visit.hold("**/slices/*")
    visit.page.evaluate("document.querySelector('#list li:nth-child(2) button').click()")
    assert not visit.shown("#seen")


def test_deleted_study_can_be_predicted_again(opened: Visit) -> None:
    study = next(found.split("/")[-3] for found in opened.requests if "/slices/" in found)
    opened.page.request.delete(f"{opened.address}volume/{study}")
    opened.slide("#slice", SLICES)
    opened.page.wait_for_selector("#slice-problem:not([hidden])")
    assert "no longer keeps this volume" in opened.words("#slice-problem")
    opened.page.click("#slice-problem button")
    opened.page.wait_for_selector("#slice-problem", state="hidden")


def test_slice_that_fails_while_its_volume_is_predicted_again_is_no_fault(opened: Visit) -> None:
    study = next(found.split("/")[-3] for found in opened.requests if "/slices/" in found)
    opened.page.request.delete(f"{opened.address}volume/{study}")
    with opened.page.expect_request(f"**/slices/{SLICES - 1}"):
        held = opened.hold(f"**/slices/{SLICES - 1}")
        opened.slide("#slice", SLICES)
        opened.page.wait_for_selector("#slice-problem:not([hidden])")
    opened.page.click("#slice-problem button")
    held[0].abort()
    opened.page.wait_for_selector("#slice-problem", state="hidden")


def test_clear_has_the_service_forget_the_study(opened: Visit) -> None:
    study = next(found.split("/")[-3] for found in opened.requests if "/slices/" in found)
    with opened.page.expect_request_finished(lambda request: request.method == "DELETE"):
        opened.page.click("#clear")
    assert opened.page.request.get(f"{opened.address}volume/{study}/slices/5").status == 404


def test_a_volume_is_saved_with_its_curve_and_its_notes(opened: Visit) -> None:
    with opened.page.expect_download() as saved:
        opened.page.click("#export-json")
    told: dict[str, Any] = json.loads(saved.value.path().read_text(encoding="utf-8"))
    assert len(told["result"]["curve"]) == SLICES - 1
    assert "not calibrated" in told["result"]["calibration"]
    assert "viewer" not in told["result"]


def test_a_picture_that_is_saved_waits_for_the_slice_it_is_to_show(opened: Visit) -> None:
    held = opened.hold("**/slices/20")
    opened.slide("#slice", 20)
    opened.page.wait_for_selector("#seen", state="hidden")
    before = opened.pixels("original")
    with opened.page.expect_download() as saved:
        opened.page.click("#export-html")
        held[0].continue_()
    assert opened.pixels("original") != before
    shown = opened.page.evaluate("document.getElementById('original').toDataURL('image/png')")
    assert shown in saved.value.path().read_text(encoding="utf-8")


def test_dicom_files_of_one_folder_are_one_volume(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 300)
    visit.drop(folder)
    visit.settle(1)
    assert visit.rows() == ["series cannot be predicted · 3 files"]
    visit.page.click("#verdict button")
    visit.settle(3)
    assert [row.split()[0] for row in visit.rows()] == ["0.dcm", "1.dcm", "2.dcm"]


def test_dicom_files_of_one_series_that_come_one_by_one_are_one_study(visit: Visit, tmp_path: Path) -> None:
    files = [tmp_path / f"slice{number}.dcm" for number in range(9)]
    for number, path in enumerate(files):
        path.write_bytes(slice_at(head(2 if number == 4 else 18)[:48, :48], 2.0 * number))
    other = tmp_path / "other.dcm"
    other.write_bytes(slice_at(head(18)[:48, :48], 0.0, SeriesInstanceUID="1.2"))
    visit.choose(*reversed(files), other, rows=2)
    assert visit.rows()[0].startswith("slice0.dcm – slice8.dcm ")
    assert visit.rows()[0].endswith(" · 9 files")
    assert visit.rows()[1].startswith("other.dcm ")


@pytest.mark.real
def test_a_real_dicom_series_too_coarse_to_be_cut_is_one_row_that_says_so(visit: Visit, real_scans: Path) -> None:
    visit.drop(real_scans / "dicom" / "series_head")
    # Beside its 32 slices the folder holds its licence, which is no scan, and stands alone.
    visit.settle(2)
    assert visit.rows() == [
        "series_head cannot be predicted · 32 files",
        "LICENSE cannot be predicted",
    ]
    visit.select(1)
    assert "The slices are sagittal." in visit.words("#verdict")
    assert "0.9 × 5.4 mm" in visit.words("#verdict")
    visit.select(2)
    assert "LICENSE: must be a picture" in visit.words("#verdict")
