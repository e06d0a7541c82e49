"""Where the public sets come from: one pinned version each, so that nobody's split changes underneath."""

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

_NO_LOGIN: Final = {"CredentialError", "UnauthenticatedError"}
_LOGIN: Final = "Kaggle asks for a login; put your account's kaggle.json into the folder .kaggle at home"
_ANSWERS: Final[dict[object, str]] = {
    401: _LOGIN,
    403: _LOGIN,
    404: "Kaggle has no such version any more; look for a newer release of brainslice",
}


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A public data set at its origin.

    Attributes:
        name: What it is called here.
        handle: Its owner and name on Kaggle.
        version: The version everything here was measured on.
        scans: How many pictures that version holds.
        command: What to do with a file that was downloaded by hand.
    """

    name: str
    handle: str
    version: int
    scans: int
    command: str

    @property
    def pinned_handle(self) -> str:
        """The handle with its version, as kagglehub takes it."""
        return f"{self.handle}/versions/{self.version}"

    @property
    def page(self) -> str:
        """Where people download that version by hand."""
        return f"https://www.kaggle.com/datasets/{self.pinned_handle}"


SOURCES: Final = {
    source.name: source
    for source in (
        # The second version holds 7,200 other pictures in other folders.
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
    """Fetch a public set through kagglehub, or find that it is here already.

    What was fetched once is kept in kagglehub's own cache, where an interrupted download goes on and other
    projects find it; ``folder`` becomes a link to it. Public sets need no login; where Kaggle asks for one,
    kagglehub takes it from ``kaggle.json``.

    Args:
        name: A key of ``SOURCES``.
        folder: The link to make; a real folder of that name is left alone.
        progress: Hears the beginning and the end.

    Returns:
        The folder to prepare.

    Raises:
        UsageError: There is no set of that name.
        DownloadError: No network, no permission, or not the file that was promised; says what to do.
        ResourceError: The disk is full.
    """
    source = SOURCES.get(name)
    if source is None:
        msg = f"the data set must be one of {sorted(SOURCES)}, got {name!r}"
        raise UsageError(msg)
    require_extra("train", f"{name}: download", "kagglehub")
    step = f"downloading {name}"
    progress(step, 0, 1)
    with _in_one_line(source), full_disk_error(folder):
        fetched = _fetch(source)
    progress(step, 1, 1)
    return _link(folder, fetched)


def _fetch(source: DatasetSource) -> Path:
    import kagglehub  # noqa: PLC0415 - half a second, and only this function needs it

    return Path(kagglehub.dataset_download(source.pinned_handle))


def _link(link: Path, fetched: Path) -> Path:
    # A convenience: where it cannot be had, the cache itself will do.
    with suppress(OSError, NotImplementedError):
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        link.symlink_to(fetched.resolve(), target_is_directory=True)
        return link
    return fetched


@contextmanager
def _in_one_line(source: DatasetSource) -> Iterator[None]:
    try:
        yield
    except BrainsliceError:
        raise
    except Exception as error:
        # kagglehub promises no exception types: network, server and cache errors all arrive here.
        by_hand = f"download it by hand from {source.page} and give the file: {source.command}"
        msg = f"{source.name}: {_reason(error)}; or {by_hand}"
        raise DownloadError(msg) from error


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    kind = type(error).__name__
    if kind in _NO_LOGIN or status in _ANSWERS:
        return _ANSWERS.get(status, _LOGIN)
    if status is not None:
        return f"Kaggle answered with error {status}; try again later"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be written ({error.strerror}); set KAGGLEHUB_CACHE to a folder of yours"
    if isinstance(error, OSError):
        return f"Kaggle cannot be reached ({kind}); check the network and try again"
    words = " ".join(str(error).split())[:160] or kind
    return f"the download failed ({words}); try again"
