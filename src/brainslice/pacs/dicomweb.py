"""A DICOMweb archive: query (QIDO-RS), retrieval (WADO-RS) and storage (STOW-RS)."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread, dcmwrite
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util import Retry

from brainslice.errors import DownloadError, UsageError
from brainslice.pacs.study import save_image

CREDENTIALS: Final = "BRAINSLICE_PACS_CREDENTIALS"
"""The variable that may hold ``user:password`` or a bearer token; a file is better where others can list processes."""

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_SECONDS: Final = 60.0
_PAGE: Final = 100
_MAX_CREDENTIALS: Final = 4096


@dataclass(frozen=True, slots=True)
class StudyEntry:
    """A study as a query lists it.

    Attributes:
        uid: The Study Instance UID.
        series: Series Instance UID and number of images of each MR series.
    """

    uid: str
    series: tuple[tuple[str, int], ...]


class _BearerToken(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class DicomWebArchive:
    """A DICOMweb archive; requests are repeated with back-off, and TLS certificates are verified."""

    def __init__(self, url: str, credentials: str = "", ca_file: Path | None = None, attempts: int = 5) -> None:
        """Name the archive; nothing is sent yet.

        Args:
            url: The address of the service, such as ``https://pacs.example/dicom-web``.
            credentials: ``user:password``, a bearer token, or nothing.
            ca_file: Certificates to trust instead of the system's.
            attempts: How often a request is repeated while the archive is busy or cannot be reached.

        Raises:
            UsageError: The address is none, holds credentials, or is not encrypted and leaves this machine.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            msg = f"the address of the PACS must begin with https://, got {url!r}"
            raise UsageError(msg)
        if parts.username or parts.password:
            msg = f"the address of the PACS must hold no credentials; put them into a file or into {CREDENTIALS}"
            raise UsageError(msg)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            msg = f"{url}: must begin with https:// unless the PACS is on this machine"
            raise UsageError(msg)
        self.url = url
        session = requests.Session()
        # Credentials come from one place only, not from .netrc.
        session.auth = _auth(credentials)
        session.verify = True if ca_file is None else str(ca_file)
        # Storing twice is harmless, because the UIDs are the same.
        retry = Retry(total=attempts, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), allowed_methods=None)
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        # A body that is sent in chunks could not be sent again; answers are read in chunks all the same.
        self._reader, self._writer = (
            DICOMwebClient(url, session=session, timeout=_SECONDS, chunk_size=size, permissive_uid=True)
            for size in (1 << 20, 1 << 40)
        )
        for client in (self._reader, self._writer):
            client.set_http_retry_params(retry=False)

    def studies(self, filters: dict[str, str]) -> Iterator[StudyEntry]:
        """Query studies with MR series.

        Args:
            filters: QIDO attributes and values, such as ``StudyDate`` and ``20250301-20250307``.

        Raises:
            DownloadError: The archive cannot be reached or refuses the query.
        """
        offset = 0
        while True:
            with self._reachable():
                found = self._reader.search_for_studies(
                    limit=_PAGE, offset=offset, search_filters={"ModalitiesInStudy": "MR"} | filters
                )
            for study in found:
                yield self._entry(_value(study, "0020000D"))
            if len(found) < _PAGE:
                return
            offset += len(found)

    def holds_series(self, study: str, series: str) -> bool:
        """Check whether a study has a series.

        Raises:
            DownloadError: The archive cannot be reached.
        """
        with self._reachable():
            return bool(self._reader.search_for_series(study, search_filters={"SeriesInstanceUID": series}))

    def fetch(self, study: str, series: str, folder: Path) -> int:
        """Retrieve a series into a study's folder.

        Returns:
            The number of its images.

        Raises:
            DownloadError: The archive cannot be reached.
        """
        count = 0
        with self._reachable():
            for dataset in self._reader.iter_series(study, series, media_types=(("application/dicom", "*"),)):
                buffer = io.BytesIO()
                dcmwrite(buffer, dataset, enforce_file_format=True)
                save_image(folder, series, str(dataset.SOPInstanceUID), buffer.getvalue())
                count += 1
        return count

    def store(self, files: Sequence[Path]) -> None:
        """Store DICOM files.

        Raises:
            DownloadError: The archive cannot be reached or refuses a file.
        """
        with self._reachable():
            answer = self._writer.store_instances([dcmread(each) for each in files])
        refused = len(answer.get("FailedSOPSequence", ()))
        if refused:
            msg = f"{self.url}: refused {refused} of {len(files)} objects; see the log of the PACS"
            raise DownloadError(msg)

    def _entry(self, study: str) -> StudyEntry:
        with self._reachable():
            found = self._reader.search_for_series(study, search_filters={"Modality": "MR"})
        series = ((_value(each, "0020000E"), int(_value(each, "00201209") or 0)) for each in found)
        return StudyEntry(study, tuple(sorted(series)))

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except requests.HTTPError as error:
            status = 0 if error.response is None else error.response.status_code
            remedy = "check the credentials" if status in {401, 403} else "check the address"
            msg = f"{self.url}: the PACS answered with status {status}; {remedy}"
            raise DownloadError(msg) from None
        except (requests.RequestException, OSError, ValueError) as error:
            msg = f"{self.url}: the PACS cannot be reached ({type(error).__name__}); check address and certificate"
            raise DownloadError(msg) from None


def read_credentials(file: Path | None) -> str:
    """Read credentials from a file, or from the environment.

    Raises:
        UsageError: The file cannot be read.
    """
    if file is None:
        return os.environ.get(CREDENTIALS, "")
    try:
        with file.open(encoding="utf-8") as stream:
            return stream.read(_MAX_CREDENTIALS).strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{file}: the credentials cannot be read; write user:password or a token into that file on one line"
        raise UsageError(msg) from error


def _auth(credentials: str) -> AuthBase | tuple[str, str] | None:
    if not credentials:
        return None
    user, colon, password = credentials.partition(":")
    return (user, password) if colon else _BearerToken(credentials)


def _value(found: dict[str, Any], tag: str) -> str:
    values = found.get(tag, {}).get("Value") or [""]
    return str(values[0])
