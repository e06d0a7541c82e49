"""The files of a run that the report shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from brainslice.bundle import RENAMED_IN_REPORTS, rename_keys
from brainslice.errors import DatasetError

JsonObject: TypeAlias = Mapping[str, Any]

_PICTURES: Final = "errors"


@dataclass(frozen=True, slots=True, eq=False)
class RunArtefacts:
    """The contents of a folder of reports; None or empty where a file is missing.

    Attributes:
        report: ``report.json`` of the clean protocol, or of the official one where that is the only one.
        other: ``report.json`` of the official protocol beside it.
        history: Epochs of the training.
        training: Wall time and machine of the training.
        errors: The misclassified test scans, the most confident first.
        pictures: JPEG files of the first of them.
        decision_curve: Net benefit by threshold probability.
        external: Results of bundles on other sites, and of adaptations.
        crossval: Results of a cross-validation.
        gains: What an ensemble gains over its members.
        robustness: Results of robustness sweeps: on test scans, then on folders.
    """

    report: JsonObject | None
    other: JsonObject | None
    history: tuple[JsonObject, ...]
    training: JsonObject | None
    errors: tuple[JsonObject, ...]
    pictures: tuple[Path, ...]
    decision_curve: JsonObject | None
    external: tuple[JsonObject, ...]
    crossval: JsonObject | None
    gains: JsonObject | None
    robustness: tuple[JsonObject, ...]


def reports_folder(run: Path) -> Path:
    """Return the folder of reports of a project; ``run`` itself where it is one."""
    return run / "reports" if (run / "reports").is_dir() else run


def read_run(folder: Path) -> RunArtefacts:
    """Read the results in a folder of reports.

    Raises:
        DatasetError: There are none, or a file is damaged.
    """
    main, official = (read_json(place / "report.json") for place in (folder, folder / "official"))
    place = folder if main is not None or official is None else folder / "official"
    history = read_json(place / "training_history.json")
    found = RunArtefacts(
        report=main or official,
        other=official if main is not None else None,
        history=tuple(history["epochs"]) if history else (),
        training=read_json(place / "training_run.json"),
        errors=tuple((read_json(place / "errors.json") or {"errors": ()})["errors"]),
        pictures=tuple(sorted((place / _PICTURES).glob("*.jpg"))),
        decision_curve=read_json(place / "operating_points" / "decision_curve.json"),
        external=tuple(filter(None, map(read_json, sorted((folder / "external").glob("*.json"))))),
        crossval=read_json(folder / "crossval" / "crossval.json"),
        gains=read_json(place / "gains.json"),
        robustness=tuple(filter(None, map(read_json, sorted(place.glob("robustness*.json"))))),
    )
    if found.report is None and found.crossval is None and not (found.external or found.robustness):
        msg = f"{folder}: no results; run brainslice evaluate, crossval or adapt first"
        raise DatasetError(msg)
    return found


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON file of results, with current keys; None where there is none.

    Raises:
        DatasetError: It is damaged.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path}: not a report of brainslice ({error}); run brainslice evaluate again"
        raise DatasetError(msg) from error
    if path.name == "training_history.json" and isinstance(content, list):
        # As earlier versions wrote it.
        content = {"epochs": content}
    if not isinstance(content, dict):
        msg = f"{path}: not a report of brainslice (it holds a {type(content).__name__}); run brainslice evaluate again"
        raise DatasetError(msg)
    return rename_keys(content, RENAMED_IN_REPORTS)
