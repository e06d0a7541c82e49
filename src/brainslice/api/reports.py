"""Functions that report on a project: the robustness of a bundle, and all results on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from brainslice.api.settings import EVALUATION_LIBRARIES, AnyPath, Settings, open_project
from brainslice.lazy import require_extra
from brainslice.paths import writes_project
from brainslice.progress import Progress, silent

if TYPE_CHECKING:
    from brainslice.evaluation.robustness import Robustness


@writes_project("measuring robustness")
def measure_robustness(
    root: AnyPath = ".",
    *,
    data: AnyPath | None = None,
    bundle: AnyPath | None = None,
    sample: int = 200,
    config: Settings = None,
    progress: Progress = silent,
) -> Robustness:
    """Score a bundle on scans made worse in ten ways at five severities, and write ``reports/robustness.json``.

    An interrupted sweep resumes. Test scans are logged as any other access to them.

    Args:
        root: The project's folder.
        data: A folder with class folders, or ``yes`` and ``no``; the test scans of the bundle's split where None.
        bundle: The bundle's folder; the project's own, or the shipped one, where None.
        sample: How many scans to draw; 0 for all.
        config: The settings; ``seed`` draws the sample and the changes.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: scikit-learn, scipy or matplotlib is not installed.
        BundleError: There is no bundle, or it was altered.
        DatasetError: The bundle was trained on another set than the one prepared here, or the folder is invalid.
        UsageError: The sample is below 0.
    """
    require_extra("train", "the robustness sweep", *EVALUATION_LIBRARIES)
    from brainslice.evaluation.robustness import measure_robustness as sweep
    from brainslice.report.robustness import write_robustness

    chosen, paths = open_project(root, config)
    folder, own = (None if given is None else Path(given) for given in (data, bundle))
    result = sweep(paths, chosen, data=folder, bundle=own, sample=sample, progress=progress)
    write_robustness(result, paths.reports, None if folder is None else result.scans.name)
    write_report(root)
    return result


def write_report(root: AnyPath = ".", *, language: str = "en", output: AnyPath | None = None) -> Path:
    """Write what a project's reports hold as one HTML page that needs no other file.

    Args:
        root: The project's folder, or its folder ``reports``.
        language: ``en`` or ``es``.
        output: The file; ``report.html`` in ``reports`` (``report.es.html`` in Spanish) where None.

    Raises:
        MissingExtraError: jinja2 is not installed.
        DatasetError: There are no results.
        UsageError: There is no such language.
    """
    require_extra("train", "the report", "jinja2")
    from brainslice.report.html.artefacts import reports_folder
    from brainslice.report.html.page import write_page

    return write_page(reports_folder(Path(root)), language, None if output is None else Path(output))
