from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from brainslice.errors import DownloadError
from brainslice.inference.predictor import Predictor
from hospital import STUDY, axial_images

pytest.importorskip("highdicom", reason="needs the extra brainslice[pacs]")
pytest.importorskip("dicomweb_client", reason="needs the extra brainslice[pacs]")

from brainslice.pacs.dicomweb import DicomWebArchive, StudyEntry
from brainslice.pacs.study import EventLog, StudyRules, save_image

if TYPE_CHECKING:
    from brainslice.pacs.retrieval import RetrievalOptions


class Archive(DicomWebArchive):
    """Studies in memory: one that is whole, one of two images, one whose images are not all there, and a broken one."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.images = {f"{STUDY}.{number}": count for number, count in enumerate((8, 2, 5, 8))}
        self.stored: dict[str, list[str]] = {}
        self.fetched: list[str] = []

    def studies(self, filters: dict[str, str]) -> Iterator[StudyEntry]:
        for study, count in self.images.items():
            if filters.get("StudyInstanceUID", study) != study:
                continue
            yield StudyEntry(study, (("1.2.3", 8 if count > 2 else count),))

    def holds_series(self, study: str, series: str) -> bool:
        return series in self.stored.get(study, [])

    def fetch(self, study: str, series: str, folder: Path) -> int:
        self.fetched.append(study)
        if study.endswith(".3"):
            msg = "the PACS cannot be reached"
            raise DownloadError(msg)
        for uid, data in axial_images(series, StudyInstanceUID=study)[: self.images[study]]:
            save_image(folder, series, uid, data)
        return self.images[study]

    def store(self, files: Sequence[Path]) -> None:
        from pydicom import dcmread

        for made in map(dcmread, files):
            self.stored.setdefault(str(made.StudyInstanceUID), []).append(str(made.SeriesInstanceUID))


def options(folder: Path, *, store: bool, studies: tuple[str, ...] = (), description: str = "") -> RetrievalOptions:
    from brainslice.pacs.retrieval import RetrievalOptions

    return RetrievalOptions({}, studies, StudyRules(description), 0, store, folder, EventLog(folder / "audit.jsonl"))


def test_nothing_is_stored_unless_asked_and_nothing_twice(predictor: Predictor, tmp_path: Path) -> None:
    from brainslice.pacs.retrieval import answer_archive

    archive, lines = Archive(), []
    assert answer_archive(archive, predictor, options(tmp_path, store=False), lines.append) == {
        "not stored (dry run)": 1,
        "not usable": 1,
        "failed": 2,
    }
    assert not archive.stored
    assert answer_archive(archive, predictor, options(tmp_path, store=True), lines.append)["answered"] == 1
    assert {study: len(series) for study, series in archive.stored.items()} == {f"{STUDY}.0": 3}
    archive.fetched.clear()
    again = answer_archive(archive, predictor, options(tmp_path, store=True), lines.append)
    assert again == {"answered before": 1, "not usable": 1, "failed": 2}
    assert archive.fetched == [f"{STUDY}.2", f"{STUDY}.3"], "a study that is marked or answered is not fetched again"
    assert len(lines) == 12
    written = "".join(lines) + (tmp_path / "journal.jsonl").read_text() + (tmp_path / "audit.jsonl").read_text()
    assert not [secret for secret in (STUDY, "Doe", "4711") if secret in written]


def test_a_marked_study_is_tried_again_when_it_has_more_images(predictor: Predictor, tmp_path: Path) -> None:
    from brainslice.pacs.retrieval import answer_archive

    archive = Archive()
    archive.images = {f"{STUDY}.1": 2}
    assert answer_archive(archive, predictor, options(tmp_path, store=True), print) == {"not usable": 1}
    archive.images = {f"{STUDY}.1": 8}
    assert answer_archive(archive, predictor, options(tmp_path, store=True), print) == {"answered": 1}


def test_named_studies_only_are_answered_and_another_description_is_another_question(
    predictor: Predictor, tmp_path: Path
) -> None:
    from brainslice.pacs.retrieval import answer_archive

    archive, named = Archive(), (f"{STUDY}.0", f"{STUDY}.1")
    asked = options(tmp_path, store=True, studies=named, description="FLAIR")
    assert answer_archive(archive, predictor, asked, print) == {"not usable": 2}
    assert answer_archive(archive, predictor, options(tmp_path, store=True, studies=named), print) == {
        "answered": 1,
        "not usable": 1,
    }


def test_images_that_a_killed_run_left_are_removed(predictor: Predictor, tmp_path: Path) -> None:
    from brainslice.pacs.retrieval import answer_archive

    save_image(tmp_path / "fetched" / "study", "1.2.9", "1.2.9.1", b"left")
    archive = Archive()
    archive.images = {f"{STUDY}.0": 8}
    assert answer_archive(archive, predictor, options(tmp_path, store=True), print) == {"answered": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.jsonl", "journal.jsonl"]
