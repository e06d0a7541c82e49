from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from browser import Visit, draw_tumour


def test_before_any_scan_there_is_an_invitation_and_no_result(visit: Visit) -> None:
    assert "Drop, paste or choose scans" in visit.words("#drop")
    assert not visit.shown("#result")
    assert not visit.shown("#progress")


def test_chosen_files_are_listed_in_their_order_each_with_its_verdict(
    visit: Visit, tumour: Path, healthy: Path
) -> None:
    visit.choose(tumour, healthy)
    assert visit.rows() == ["first.png Tumour", "second.png No tumour"]
    assert visit.words("#status") == "2 of 2 done"


def test_dropped_files_are_predicted(visit: Visit, tumour: Path, healthy: Path) -> None:
    visit.drop(tumour, healthy)
    visit.settle(2)
    assert visit.rows() == ["first.png Tumour", "second.png No tumour"]


def test_a_dropped_folder_is_opened_to_its_depths_and_junk_is_passed_over(
    visit: Visit, tumour: Path, healthy: Path, tmp_path: Path
) -> None:
    inner = tmp_path / "scans" / "inner"
    inner.mkdir(parents=True)
    shutil.copyfile(tumour, tmp_path / "scans" / "a.png")
    shutil.copyfile(healthy, inner / "b.png")
    for junk in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (inner / junk).write_bytes(b"junk")
    visit.drop(tmp_path / "scans")
    visit.settle(2)
    assert sorted(visit.rows()) == ["a.png Tumour", "b.png No tumour"]


def test_a_chosen_folder_is_read_like_a_dropped_one(visit: Visit, tumour: Path, tmp_path: Path) -> None:
    shutil.copyfile(tumour, tmp_path / "a.png")
    (tmp_path / ".hidden").write_bytes(b"junk")
    visit.page.set_input_files("#folder", str(tmp_path))
    visit.settle(1)
    assert visit.rows() == ["a.png Tumour"]


def test_pasted_image_is_predicted(visit: Visit, tumour: Path) -> None:
    visit.paste(tumour)
    visit.settle(1)
    assert visit.rows() == ["first.png Tumour"]


@pytest.mark.parametrize("ending", ["jpg", "tif", "bmp", "webp"])
def test_images_of_other_formats_are_predicted(visit: Visit, tumour: Path, tmp_path: Path, ending: str) -> None:
    other = tmp_path / f"scan.{ending}"
    Image.open(tumour).convert("RGB").save(other)
    visit.choose(other)
    assert visit.rows() == [f"scan.{ending} Tumour"]


def test_more_files_join_those_that_are_there(visit: Visit, tumour: Path, healthy: Path) -> None:
    visit.choose(tumour)
    visit.choose(healthy, rows=2)
    assert visit.words("#result-title") == "first.png"


def test_a_file_that_is_no_scan_gets_a_sentence_in_place_and_no_dialog(
    visit: Visit, tumour: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no scan at all", encoding="utf-8")
    visit.choose(text, tumour)
    assert visit.rows() == ["notes.txt cannot be predicted", "first.png Tumour"]
    assert visit.words("#verdict").startswith("No prediction notes.txt: ")
    assert not visit.shown("#bars")


def test_a_file_whose_name_is_markup_is_shown_as_text(visit: Visit, tumour: Path, tmp_path: Path) -> None:
    named = Path(shutil.copyfile(tumour, tmp_path / "<img src=x onerror=alert(1)>.png"))
    visit.choose(named)
    assert visit.words("#result-title") == named.name
    assert visit.page.locator("#list img").count() == 0


def test_clear_empties_the_page(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    visit.page.click("#clear")
    assert visit.rows() == []
    assert not visit.shown("#result")
    assert "Nothing was kept" in visit.words("#status")
    assert visit.pixels("seen") == [0, 0, 0, 0]


def test_a_file_may_be_chosen_again_after_clear(visit: Visit, tumour: Path) -> None:
    visit.choose(tumour)
    visit.page.click("#clear")
    visit.choose(tumour)
    assert visit.rows() == ["first.png Tumour"]


def test_files_are_predicted_in_order(visit: Visit, tmp_path: Path) -> None:
    scans = [draw_tumour(tmp_path / f"{number:02}.png") for number in range(20)]
    visit.choose(*scans)
    assert visit.rows() == [f"{scan.name} Tumour" for scan in scans]
