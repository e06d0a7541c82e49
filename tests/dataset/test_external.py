from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from brainslice.dataset.external import prepare_external
from brainslice.errors import DatasetError, UsageError
from brainslice.lock import exclusive_lock
from brainslice.paths import LOCK_FILE


@pytest.fixture
def other_site(drawn: Path, tmp_path: Path) -> Path:
    """Three tumours and two healthy heads, with the spellings and the doubled folder of the published archive."""
    root = tmp_path / "site"
    for place in (root, root / "brain_tumor_dataset"):
        for number, (folder, kind) in enumerate([("yes", "glioma")] * 3 + [("no", "notumor")] * 2):
            scan = sorted((drawn / "Training" / kind).iterdir())[number]
            (place / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(scan, place / folder / f"{number} {folder}.{('jpg', 'JPG', 'jpeg', 'png', 'PNG')[number]}")
    return root


def test_yes_and_no_are_laid_out_with_every_ending_and_nothing_twice(other_site: Path, tmp_path: Path) -> None:
    placed = prepare_external(other_site, tmp_path / "project")
    assert placed.folder == tmp_path / "project" / "data" / "external_navoneel"
    assert sorted(p.relative_to(placed.folder).as_posix() for p in placed.folder.rglob("*.*")) == [
        "no/3 no.png",
        "no/4 no.PNG",
        "yes/0 yes.jpg",
        "yes/1 yes.JPG",
        "yes/2 yes.jpeg",
    ]
    assert placed.summary == "5 scans (3 yes, 2 no)"
    assert all(path.is_symlink() for path in placed.folder.rglob("*.*"))


def test_an_archive_is_laid_out_and_copies_are_files(other_site: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "site-archive"), "zip", other_site))
    placed = prepare_external(archive, tmp_path / "project", copy=True)
    assert (placed.tumours, placed.healthy) == (3, 2)
    assert not any(path.is_symlink() for path in placed.folder.rglob("*"))


def test_unreadable_files_are_left_out_and_counted(other_site: Path, tmp_path: Path) -> None:
    (other_site / "yes" / "0 yes.jpg").write_bytes(b"broken")
    placed = prepare_external(other_site, tmp_path / "project")
    assert placed.summary == "4 scans (2 yes, 2 no); 1 unreadable files were left out"
    assert placed.unreadable[0][0] == "yes/0 yes.jpg"


def test_a_folder_that_is_missing_or_holds_nothing_readable_is_refused(other_site: Path, tmp_path: Path) -> None:
    prepare_external(other_site, tmp_path / "project", copy=True)
    for scan in (other_site / "no").iterdir():
        scan.write_bytes(b"broken")
    with pytest.raises(DatasetError, match="none of the files in no can be read"):
        prepare_external(other_site, tmp_path / "project")
    shutil.rmtree(other_site / "no")
    with pytest.raises(DatasetError, match="holds no scans of no"):
        prepare_external(other_site, tmp_path / "project")
    folder = tmp_path / "project" / "data" / "external_navoneel"
    assert len([path for path in folder.rglob("*.*") if path.is_file()]) == 5
    with pytest.raises(DatasetError, match="is what preparing replaces"):
        prepare_external(folder, tmp_path / "project")


@pytest.mark.real
def test_the_real_external_set_is_whole_whatever_its_endings(real_scans: Path, tmp_path: Path) -> None:
    placed = prepare_external(real_scans / "navoneel", tmp_path)
    assert (placed.tumours, placed.healthy, placed.unreadable) == (155, 98, ())
    endings = Counter(path.suffix for path in placed.folder.rglob("*.*"))
    assert endings == {".jpg": 171, ".JPG": 74, ".jpeg": 6, ".png": 2}


def test_it_waits_for_nobody_who_prepares_the_same_project(other_site: Path, tmp_path: Path) -> None:
    with (
        exclusive_lock(tmp_path / "project" / LOCK_FILE, "preparing data"),
        pytest.raises(UsageError, match="is preparing data since"),
    ):
        prepare_external(other_site, tmp_path / "project")
