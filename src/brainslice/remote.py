"""Files in object stores and other file systems of fsspec, named by a URI such as ``s3://bucket/scans``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from brainslice.errors import BrainsliceError, DownloadError, MissingExtraError, UnreadableScanError, UsageError
from brainslice.lazy import require_extra

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file or folder in a store.

    Credentials come from where the library of the store looks for them, such as ``AWS_ACCESS_KEY_ID``.

    Attributes:
        uri: Its URI.
    """

    uri: str

    def __post_init__(self) -> None:
        if urlsplit(self.uri).password is not None:
            msg = f"{self.uri.partition('://')[0]}://: a URI must hold no password; set it in the environment"
            raise UsageError(msg)

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> RemoteFile:
        return RemoteFile(f"{self.uri.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part of the URI."""
        return self.uri.rstrip("/").rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The suffix of the name."""
        return PurePosixPath(self.name).suffix

    def with_name(self, name: str) -> RemoteFile:
        """Return the file of another name beside this one."""
        return RemoteFile(f"{self.uri.rstrip('/').rpartition('/')[0]}/{name}")

    def is_folder(self) -> bool:
        """Check whether it is a folder, or the beginning of the names of objects.

        Raises:
            UsageError: There is no such file or folder, or no such kind of store.
            DownloadError: The store cannot be reached or does not allow it.
        """
        with self._opened() as (store, path):
            if store.isdir(path):
                return True
            if store.exists(path):
                return False
        msg = f"{self.uri}: no such file, folder or bucket; check the URI"
        raise UsageError(msg)

    def check_bucket(self) -> None:
        """Check that the bucket, or some folder above, is there to write to, before work is done.

        Raises:
            UsageError: There is none, or no such kind of store.
            DownloadError: The store cannot be reached or does not allow it.
        """
        with self._opened() as (store, path):
            if any(store.exists(str(folder)) for folder in PurePosixPath(path).parents if folder.name or folder.root):
                return
        msg = f"{self.uri}: no such folder or bucket; make it first"
        raise UsageError(msg)

    def entries(self) -> dict[str, bool]:
        """Return the names in a folder, and whether each is a folder.

        Raises:
            DownloadError: The store cannot be reached or does not allow it.
        """
        with self._opened() as (store, path):
            found = store.ls(path, detail=True)
            # Some stores list an empty object of the name of the folder in it.
            own = str(path).strip("/")
            others = ((entry["name"].rstrip("/"), entry["type"]) for entry in found)
            return {name.rpartition("/")[2]: kind == "directory" for name, kind in others if name.strip("/") != own}

    def size(self) -> int:
        """Return the number of bytes; raises as ``read``."""
        with self._opened() as (store, path):
            return int(store.size(path) or 0)

    def read(self, count: int | None = None) -> bytes:
        """Read the file, or its first bytes.

        Raises:
            UnreadableScanError: There is no such file; the message does not name it.
            DownloadError: The store cannot be reached or does not allow it.
        """
        with self._opened() as (store, path):
            if count is None:
                return bytes(store.cat_file(path))
            with store.open(path, "rb") as stream:
                return bytes(stream.read(count))

    def read_if_exists(self) -> bytes | None:
        """Read the file; None where there is none.

        Raises:
            DownloadError: The store cannot be reached or does not allow it.
        """
        with self._opened() as (store, path):
            return bytes(store.cat_file(path)) if store.exists(path) else None

    def write(self, data: bytes) -> None:
        """Write the whole file; readers find the old one or the new one.

        Raises:
            UsageError: There is no such folder or bucket.
            DownloadError: The store cannot be reached or does not allow it.
        """
        try:
            # Stores whose files grow under their names write to a temporary one within a transaction.
            with self._opened() as (store, path), store.transaction:
                store.pipe_file(path, data)
        except UnreadableScanError as error:
            msg = f"{self.uri}: no such folder or bucket; make it first"
            raise UsageError(msg) from error

    def delete(self) -> None:
        """Delete the file, if there is one.

        Raises:
            DownloadError: The store cannot be reached or does not allow it.
        """
        with self._opened() as (store, path):
            if store.exists(path):
                store.rm_file(path)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, str]]:
        require_extra("fsspec", f"{self.uri}: a URI", "fsspec")
        import fsspec  # noqa: PLC0415 - an extra

        try:
            yield fsspec.core.url_to_fs(self.uri)
        except BrainsliceError:
            raise
        except FileNotFoundError as error:
            msg = "no such file; check the path"
            raise UnreadableScanError(msg) from error
        except ImportError as error:
            msg = f"{self.uri}: {_first_line(error)}; install the package of this store, such as s3fs"
            raise MissingExtraError(msg) from error
        except ValueError as error:
            msg = f"{self.uri}: cannot be opened ({_first_line(error)}); check the URI"
            raise UsageError(msg) from error
        except Exception as error:  # libraries of stores raise errors of their own
            msg = f"{self.uri}: {_first_line(error)}; check credentials and connection, then run the same command again"
            raise DownloadError(msg) from error


ScanPath: TypeAlias = Path | RemoteFile
"""A file or folder of this machine or in a store."""


def locate(text: str) -> ScanPath:
    """Return the file or folder that a path or URI names."""
    return RemoteFile(text) if _URI.match(text) else Path(text)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
