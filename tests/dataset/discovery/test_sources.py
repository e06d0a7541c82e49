from __future__ import annotations

import errno
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import kagglehub
import pytest
import requests
from kagglehub.exceptions import CredentialError, DataCorruptionError, KaggleApiHTTPError

from brainslice.dataset.discovery.sources import SOURCES, download
from brainslice.errors import DownloadError, MissingExtraError, ResourceError, UsageError


def answered(status: int) -> Exception:
    response = requests.Response()
    response.status_code = status
    return KaggleApiHTTPError(f"{status} Client Error.\n\nYou don't have permission", response=response)


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: str) -> str:
        raise error

    monkeypatch.setattr(kagglehub, "dataset_download", fail)


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished download in kagglehub's own cache, which needs no network."""
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("KAGGLE_USERNAME", raising=False)
    set_folder = tmp_path / "cache" / "datasets" / Path(SOURCES["navoneel"].pinned_handle)
    (set_folder / "yes").mkdir(parents=True)
    (set_folder.parents[1] / "1.complete").touch()
    return set_folder


def test_both_sets_are_pinned_to_the_version_that_was_measured() -> None:
    assert {name: (source.pinned_handle, source.scans) for name, source in SOURCES.items()} == {
        "nickparvar": ("masoudnickparvar/brain-tumor-mri-dataset/versions/1", 7023),
        "navoneel": ("navoneel/brain-mri-images-for-brain-tumor-detection/versions/1", 253),
    }


def test_a_finished_download_is_found_again_and_linked(cached: Path, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    folder = download("navoneel", tmp_path / "downloads" / "navoneel", lambda *news: heard.append(news))
    assert folder == tmp_path / "downloads" / "navoneel"
    assert folder.resolve() == cached.resolve()
    assert download("navoneel", folder) == folder
    assert heard == [("downloading navoneel", 0, 1), ("downloading navoneel", 1, 1)]


@pytest.mark.usefixtures("cached")
def test_an_existing_folder_of_that_name_is_not_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "navoneel"
    mine.mkdir()
    (mine / "mine.png").touch()
    assert download("navoneel", mine) != mine
    assert [path.name for path in mine.iterdir()] == ["mine.png"]


def test_an_unknown_set_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\['navoneel', 'nickparvar'\], got 'brats'"):
        download("brats", tmp_path)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (requests.ConnectionError("Max retries\nexceeded"), r"cannot be reached \(ConnectionError\)"),
        (TimeoutError(), r"cannot be reached \(TimeoutError\)"),
        (ValueError("Unsupported\narchive type."), r"failed \(Unsupported archive type\.\)"),
        (answered(403), "asks for a login; put your account's kaggle.json"),
        (CredentialError("none"), "asks for a login"),
        (answered(404), "no such version"),
        (answered(503), "error 503; try again later"),
        (DataCorruptionError("checksum"), r"failed \(checksum\); try again"),
        (
            PermissionError(errno.EACCES, "Permission denied", "cache"),
            "cache cannot be written .*KAGGLEHUB_CACHE",
        ),
    ],
)
def test_every_failure_says_in_one_line_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    failing(monkeypatch, error)
    with pytest.raises(DownloadError, match=said) as caught:
        download("nickparvar", tmp_path)
    assert "\n" not in str(caught.value)
    page = "https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset/versions/1"
    assert f"by hand from {page} and give the file: brainslice prepare FILE" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_has_its_own_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(ResourceError, match="no space left"):
        download("nickparvar", tmp_path)


def test_without_kagglehub_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(MissingExtraError, match=r"brainslice\[train\]"):
        download("nickparvar", tmp_path)


def test_a_programming_error_elsewhere_is_no_download_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("kagglehub")
    module.__spec__ = ModuleSpec("kagglehub", None)
    monkeypatch.setitem(sys.modules, "kagglehub", module)

    def shout(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        download("nickparvar", tmp_path, shout)
