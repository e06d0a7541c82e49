"""Download of the public data sets in pinned versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainslice.errors import BrainsliceError, DownloadError, UsageError
from brainslice.files import full_disk_error
from brainslice.lazy import require_extra
from brainslice.progress import Progress, silent

_LOGIN_ERRORS: Final = {"CredentialError", "UnauthenticatedError"}
_LOGIN: Final = "Kaggle asks for a login; put your account's kaggle.json into the folder .kaggle at home"
_STATUS_MESSAGES: Final[dict[object, str]] = {
    401: _LOGIN,
    403: _LOGIN,
    404: "Kaggle has no such version any more; look for a newer release of brainslice",
}


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A public data set.

    Attributes:
        name: Its name here.
        handle: Owner and name on Kaggle.
        version: The pinned version, on which all results were measured.
        scans: Number of images in that version.
        command: The command for a file that was downloaded manually.
    """

    name: str
    handle: str
    version: int
    scans: int
    command: str

    @property
    def pinned_handle(self) -> str:
        """The handle with its version, for kagglehub."""
        return f"{self.handle}/versions/{self.version}"

    @property
    def page(self) -> str:
        """The web page of that version."""
        return f"https://www.kaggle.com/datasets/{self.pinned_handle}"


SOURCES: Final = {
    source.name: source
    for source in (
        # Version 2 holds 7,200 other images in other folders.
        DatasetSource("nickparvar", "masoudnickparvar/brain-tumor-mri-dataset", 1, 7023, "brainslice prepare FILE"),
        DatasetSource(
            "navoneel",
            "navoneel/brain-mri-images-for-brain-tumor-detection",
            1,
            253,
            "brainslice prepare --external FILE",
        ),
    )
}


def download(name: str, folder: Path, progress: Progress = silent) -> Path:
    """Download a public set through kagglehub, or find it in kagglehub's cache.

    kagglehub resumes interrupted downloads; ``folder`` becomes a link into its cache. Public sets need no login; where
    Kaggle asks for one, kagglehub takes it from ``kaggle.json``.

    Args:
        name: A key of ``SOURCES``.
        folder: The link to make; an existing folder of that name is not replaced.
        progress: Called with step, done and total.

    Returns:
        The folder to prepare.

    Raises:
        UsageError: There is no set of that name.
        DownloadError: The download failed.
        ResourceError: The disk is full.
    """
    source = SOURCES.get(name)
    if source is None:
        msg = f"the data set must be one of {sorted(SOURCES)}, got {name!r}"
        raise UsageError(msg)
    require_extra("train", f"{name}: download", "kagglehub")
    step = f"downloading {name}"
    progress(step, 0, 1)
    with _one_line_errors(source), full_disk_error(folder):
        fetched = _fetch(source)
    progress(step, 1, 1)
    return _link(folder, fetched)


def _fetch(source: DatasetSource) -> Path:
    import kagglehub  # noqa: PLC0415 - half a second, and only this function needs it

    return Path(kagglehub.dataset_download(source.pinned_handle))


def _link(link: Path, fetched: Path) -> Path:
    # Where links are refused, the folder in the cache is used.
    with suppress(OSError, NotImplementedError):
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        link.symlink_to(fetched.resolve(), target_is_directory=True)
        return link
    return fetched


@contextmanager
def _one_line_errors(source: DatasetSource) -> Iterator[None]:
    try:
        yield
    except BrainsliceError:
        raise
    except Exception as error:
        # kagglehub documents no exception types; network, server and cache errors arrive here.
        manual = f"download it by hand from {source.page} and give the file: {source.command}"
        msg = f"{source.name}: {_reason(error)}; or {manual}"
        raise DownloadError(msg) from error


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    kind = type(error).__name__
    if kind in _LOGIN_ERRORS or status in _STATUS_MESSAGES:
        return _STATUS_MESSAGES.get(status, _LOGIN)
    if status is not None:
        return f"Kaggle answered with error {status}; try again later"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be written ({error.strerror}); set KAGGLEHUB_CACHE to a folder of yours"
    if isinstance(error, OSError):
        return f"Kaggle cannot be reached ({kind}); check the network and try again"
    words = " ".join(str(error).split())[:160] or kind
    return f"the download failed ({words}); try again"
