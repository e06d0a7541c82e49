"""Studies of a DICOMweb archive, fetched, answered, and stored back."""

from __future__ import annotations

import getpass
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from brainslice.dicom_export import series_uid
from brainslice.errors import DownloadError, UnreadableScanError
from brainslice.inference import Predictor
from brainslice.pacs.dicomweb import DicomWebArchive, StudyEntry
from brainslice.pacs.study import ANSWERED, NOT_USABLE, EventLog, StudyRules, answer_study, digest_of

ANSWERED_BEFORE, FAILED, DRY = "answered before", "failed", "not stored (dry run)"


@dataclass(frozen=True, slots=True)
class RetrievalOptions:
    """Which studies are answered, and how.

    Attributes:
        filters: QIDO attributes and values, such as ``StudyDate`` and ``20250301-20250307``.
        studies: Study Instance UIDs; empty for all that the filters leave.
        rules: Which studies are answered.
        limit: The most studies to fetch; 0 for all.
        store: Whether the answers are stored; nothing is written to the archive otherwise.
        state: The folder of the journal, by which a marked study is not fetched again, and of what is being fetched.
        audit: The log of who asked for what and when; None for none.
    """

    filters: dict[str, str]
    studies: tuple[str, ...]
    rules: StudyRules
    limit: int
    store: bool
    state: Path
    audit: EventLog | None = None

    @property
    def journal(self) -> EventLog:
        """The log of studies that were answered or marked."""
        return EventLog(self.state / "journal.jsonl")

    def entries(self, archive: DicomWebArchive) -> Iterator[StudyEntry]:
        """Query the studies."""
        for study in self.studies or ("",):
            yield from archive.studies(self.filters | ({"StudyInstanceUID": study} if study else {}))


def answer_archive(
    archive: DicomWebArchive, predictor: Predictor, options: RetrievalOptions, report: Callable[[str], None]
) -> Counter[str]:
    """Answer the studies of an archive that have no answer of this model yet.

    A study that is not usable is marked and left; one that fails does not stop the rest.

    Args:
        archive: The archive.
        predictor: The predictor.
        options: Which studies, and whether to store.
        report: Called with a line for each study.

    Returns:
        How many studies ended in which way.

    Raises:
        DownloadError: The archive cannot be queried.
    """
    marked = {each["study"] for each in options.journal.read() if each.get("event") == NOT_USABLE}
    counts = Counter[str]()
    for study in options.entries(archive):
        fetched = counts.total() - counts[ANSWERED_BEFORE]
        if options.limit and fetched >= options.limit:
            break
        name = digest_of(study.uid)
        state = _state(study, predictor, options)
        try:
            if archive.holds_series(study.uid, str(series_uid(study.uid, "report", predictor.bundle.info.digest))):
                outcome, line = ANSWERED_BEFORE, ANSWERED_BEFORE
            elif state in marked:
                outcome, line = NOT_USABLE, "marked as not usable before"
            else:
                outcome, line = _answer(archive, study, predictor, options)
        except UnreadableScanError as error:
            options.journal.write(NOT_USABLE, study=state, reason=str(error))
            outcome, line = NOT_USABLE, f"{NOT_USABLE}: {error}"
        except DownloadError as error:
            outcome, line = FAILED, f"{FAILED}: {error}"
        counts[outcome] += 1
        report(f"study {name}: {line}")
        if options.audit is not None:
            options.audit.write(
                outcome, user=getpass.getuser(), source=archive.url, study=name, bundle=predictor.bundle.info.digest
            )
    return counts


def _answer(
    archive: DicomWebArchive, study: StudyEntry, predictor: Predictor, options: RetrievalOptions
) -> tuple[str, str]:
    folder = options.state / "fetched"
    # Images of patients are for this account only, and a killed run may have left some.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        (folder / "study").mkdir()
        for series, expected in study.series:
            count = archive.fetch(study.uid, series, folder / "study")
            if count < expected:
                msg = f"{digest_of(series)}: must have {expected} images, got {count}; try again later"
                raise DownloadError(msg)
        answer = answer_study(predictor, folder / "study", folder / "results", options.rules)
        if not options.store:
            return DRY, f"{answer}; {DRY}, add --store"
        archive.store(answer.objects)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    options.journal.write(ANSWERED, study=_state(study, predictor, options))
    return ANSWERED, f"{ANSWERED}: {answer}"


def _state(study: StudyEntry, predictor: Predictor, options: RetrievalOptions) -> str:
    """Name a study with its images, the model and the choice of series: with others it is tried again."""
    return digest_of(f"{study.uid} {study.series} {predictor.bundle.info.digest} {options.rules}")
