from __future__ import annotations

import pytest

from brainslice.errors import DownloadError, MissingExtraError, UnreadableScanError, UsageError
from brainslice.lazy import is_installed
from brainslice.remote import RemoteFile, locate

fsspec = pytest.importorskip("fsspec", reason="needs the extra brainslice[fsspec]")

from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402 - needs fsspec


@pytest.fixture
def bucket() -> RemoteFile:
    """A folder in the memory of this process, with a file and a folder."""
    store = fsspec.filesystem("memory")
    store.rm("/", recursive=True)
    store.pipe({"/bucket/one.png": b"first bytes", "/bucket/more/two.png": b"2"})
    return RemoteFile("memory://bucket")


class Refusing(MemoryFileSystem):
    """A store that does not know the caller."""

    protocol = "refusing"

    def _refuse(self, *_: object, **__: object) -> None:
        msg = "Unable to locate credentials\nsecond line"
        raise RuntimeError(msg)

    ls = isdir = exists = cat_file = pipe_file = _refuse


class Flat(MemoryFileSystem):
    """A store of buckets, without a folder above them; it has none."""

    protocol = "flat"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path).lstrip("/")

    def exists(self, *_: object, **__: object) -> bool:
        return False


def test_paths_and_uris_are_told_apart() -> None:
    assert [type(locate(text)).__name__ for text in ("s3://bucket/a.png", "C:\\a.png", "/a//b.png", "a:b")] == [
        "RemoteFile",
        *["PosixPath"] * 3,
    ]
    file = RemoteFile("s3://bucket/rows.v1.parquet")
    assert (file.name, file.stem, file.suffix) == ("rows.v1.parquet", "rows.v1", ".parquet")
    assert str(file.with_name("other.csv")) == "s3://bucket/other.csv"
    assert str(RemoteFile("s3://bucket/") / "a.png") == "s3://bucket/a.png"


def test_folders_are_listed_and_files_read(bucket: RemoteFile) -> None:
    assert bucket.is_folder()
    assert bucket.entries() == {"one.png": False, "more": True}
    file = bucket / "one.png"
    assert not file.is_folder()
    assert (file.size(), file.read(), file.read(5)) == (11, b"first bytes", b"first")


def test_written_files_replace_and_are_deleted(bucket: RemoteFile) -> None:
    file = bucket / "rows.csv"
    assert file.read_if_exists() is None
    for data in (b"1", b"22"):
        file.write(data)
        assert file.read_if_exists() == data
    for _ in range(2):
        file.delete()
        assert file.read_if_exists() is None


def test_what_is_missing_is_named(bucket: RemoteFile) -> None:
    with pytest.raises(UsageError, match=r"memory://elsewhere: no such file, folder or bucket"):
        RemoteFile("memory://elsewhere").is_folder()
    with pytest.raises(UnreadableScanError, match=r"^no such file; check the path$"):
        (bucket / "gone.png").read()
    with pytest.raises(UsageError, match=r"file:///no/such/folder/rows.csv: no such folder or bucket; make it first"):
        RemoteFile("file:///no/such/folder/rows.csv").write(b"1")
    for there in (bucket / "rows.csv", RemoteFile("file:///no/such/folder/rows.csv")):
        there.check_bucket()
    fsspec.register_implementation("flat", Flat, clobber=True)
    with pytest.raises(UsageError, match=r"flat://gone/folder/rows.csv: no such folder or bucket; make it first"):
        RemoteFile("flat://gone/folder/rows.csv").check_bucket()


def test_other_errors_of_a_store_are_one_line() -> None:
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    file = RemoteFile("refusing://bucket/a.png")
    said = r"^refusing://bucket/a.png: Unable to locate credentials; check credentials and connection, then run"
    for call in (file.is_folder, file.entries, file.read, file.read_if_exists, lambda: file.write(b"1")):
        with pytest.raises(DownloadError, match=said):
            call()


def test_unknown_stores_and_passwords_are_refused() -> None:
    with pytest.raises(UsageError, match="nowhere://bucket: cannot be opened"):
        RemoteFile("nowhere://bucket").read()
    with pytest.raises(UsageError, match=r"^ftp://: a URI must hold no password") as raised:
        RemoteFile("ftp://reader:secret@host/scans")
    assert "secret" not in str(raised.value)
    assert RemoteFile("abfs://container@account.dfs.core.windows.net/scans").name == "scans"


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_installed("s3fs"):
        with pytest.raises(MissingExtraError, match="s3://bucket: Install s3fs to access S3; install the package"):
            RemoteFile("s3://bucket").read()
    monkeypatch.setattr("brainslice.lazy.is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match=r"memory://a: a URI needs fsspec; .*'brainslice\[fsspec\]'"):
        RemoteFile("memory://a").read()
