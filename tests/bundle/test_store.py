from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainslice.bundle import store
from brainslice.bundle.store import ModelBundle, open_bundle, write_bundle
from brainslice.bundle.types import BundleDraft, BundleInfo
from brainslice.errors import BundleError, ResourceError

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
here_and_now = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)


def fault_of(folder: Path) -> str:
    """Open a bundle that must be refused, and give the one line that says why."""
    with pytest.raises(BundleError) as refusal:
        open_bundle(folder)
    line = str(refusal.value)
    assert "\n" not in line
    assert line.startswith(str(folder))
    assert "; " in line, f"no remedy in: {line}"
    return line


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rewrite(bundle: ModelBundle, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the description and seal it again, as another version of the program would."""
    path = bundle.folder / "bundle.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    change(whole)
    path.write_text(json.dumps(whole), encoding="utf-8")


def test_bundle_round_trip(bundle: ModelBundle, draft: BundleDraft, parts: dict[str, Path]) -> None:
    opened = open_bundle(bundle.folder)
    assert opened == bundle
    assert {name: getattr(opened.info, name) for name in BundleDraft.model_fields} == dict(draft)
    for name, source in parts.items():
        assert opened.path(name).read_bytes() == source.read_bytes()
    assert opened.labels.names == draft.labels.names


def test_path_of_an_unknown_file_raises(bundle: ModelBundle) -> None:
    with pytest.raises(BundleError, match=r"holds no weights\.h5, only README\.md, model\.keras, model\.onnx"):
        bundle.path("weights.h5")


def test_missing_folder_raises(tmp_path: Path) -> None:
    assert "no such bundle" in fault_of(tmp_path / "nowhere")


def test_file_instead_of_folder_raises(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"graph")
    assert "must be a folder" in fault_of(path)


def test_empty_folder_raises(tmp_path: Path) -> None:
    assert fault_of(tmp_path).startswith(f"{tmp_path / 'bundle.json'}: is missing")


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx", "model.keras", "README.md"])
def test_a_missing_file_is_named(bundle: ModelBundle, name: str) -> None:
    (bundle.folder / name).unlink()
    assert f"{bundle.folder / name}: is missing" in fault_of(bundle.folder)


@pytest.mark.parametrize("name", ["notes.txt", "model.onnx.data", ".hidden", "two\nlines"])
def test_a_file_that_is_not_listed_is_named(bundle: ModelBundle, name: str) -> None:
    (bundle.folder / name).write_bytes(b"")
    assert repr(name) in fault_of(bundle.folder)


def test_a_folder_inside_is_refused(bundle: ModelBundle) -> None:
    (bundle.folder / "variables").mkdir()
    assert "'variables'" in fault_of(bundle.folder)


def test_folder_instead_of_a_file_raises(bundle: ModelBundle) -> None:
    (bundle.folder / "model.keras").unlink()
    (bundle.folder / "model.keras").mkdir()
    assert "model.keras" in fault_of(bundle.folder)


def test_files_of_file_browsers_are_ignored(bundle: ModelBundle) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (bundle.folder / name).write_bytes(b"icons")
    assert open_bundle(bundle.folder) == bundle


@settings(here_and_now, max_examples=300)
@given(data=st.data())
def test_altered_bytes_are_refused(bundle: ModelBundle, data: st.DataObject) -> None:
    path = bundle.folder / data.draw(st.sampled_from(sorted(contents(bundle.folder))))
    before = path.read_bytes()
    place = data.draw(st.integers(0, len(before) - 1))
    after = bytearray(before)
    after[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(after)
    try:
        assert str(path) in fault_of(bundle.folder)
    finally:
        path.write_bytes(before)
    assert open_bundle(bundle.folder) == bundle


@here_and_now
@given(data=st.data())
def test_truncated_files_are_refused(bundle: ModelBundle, data: st.DataObject) -> None:
    path = bundle.folder / data.draw(st.sampled_from(["bundle.json", "model.onnx"]))
    before = path.read_bytes()
    path.write_bytes(before[: data.draw(st.integers(0, len(before) - 1))])
    try:
        assert str(path) in fault_of(bundle.folder)
    finally:
        path.write_bytes(before)


def test_another_time_format_counts_as_altered(bundle: ModelBundle) -> None:
    path = bundle.folder / "bundle.json"
    path.write_bytes(path.read_bytes().replace(b"12:30:00Z", b"12:30:00z"))
    assert "was altered" in fault_of(bundle.folder)


def test_a_bundle_without_a_seal_opens_unless_altered(bundle: ModelBundle) -> None:
    path = bundle.folder / "bundle.json"
    older = bundle.info.model_copy(update={"seal": None})
    older = older.model_copy(update={"digest": older.expected_digest()})
    path.write_bytes(older.to_text().encode())
    assert open_bundle(bundle.folder).info == older
    assert older.digest != bundle.info.digest
    for changed in (older.model_copy(update={"created": older.created.replace(year=2000)}), bundle.info):
        path.write_bytes(changed.model_copy(update={"seal": None}).to_text().encode())
        assert "was altered" in fault_of(bundle.folder)


def test_a_changed_temperature_counts_as_altered(bundle: ModelBundle) -> None:
    path = bundle.folder / "bundle.json"
    path.write_bytes(path.read_bytes().replace(b"1.25", b"1.75"))
    assert "was altered" in fault_of(bundle.folder)


def test_crlf_line_ends_are_accepted(bundle: ModelBundle) -> None:
    path = bundle.folder / "bundle.json"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert open_bundle(bundle.folder) == bundle


def test_newer_format_asks_for_an_update(bundle: ModelBundle) -> None:
    rewrite(bundle, lambda whole: whole.update(format=3, quantiles=[0.9]))
    assert "format must be at most 2, got 3; a newer brainslice wrote it" in fault_of(bundle.folder)


def test_a_wrong_type_is_named_with_its_field(bundle: ModelBundle) -> None:
    rewrite(bundle, lambda whole: whole["provenance"].update(seed="seven"))
    assert "provenance.seed" in fault_of(bundle.folder)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'{"format": 1}',
        b'{"format": null}',
        b'{"format": 1e400}',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"format": 1, "recipe": ' + b'{"a":' * 50_000,
        b" " * (1 << 20) + b"{}",
    ],
    ids=["empty", "null", "list", "bare", "no format", "huge", "utf-16", "deep list", "deep recipe", "long"],
)
def test_invalid_description_raises(bundle: ModelBundle, data: bytes) -> None:
    (bundle.folder / "bundle.json").write_bytes(data)
    assert "bundle.json" in fault_of(bundle.folder)


@needs_links
@pytest.mark.parametrize("name", ["bundle.json", "model.onnx"])
def test_links_out_of_the_folder_are_refused(bundle: ModelBundle, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (bundle.folder / name).rename(outside)
    (bundle.folder / name).symlink_to(outside)
    assert "got a link" in fault_of(bundle.folder)


@needs_links
def test_a_dangling_link_is_refused(bundle: ModelBundle) -> None:
    (bundle.folder / "extra").symlink_to("nowhere")
    assert "got a link" in fault_of(bundle.folder)


@needs_links
def test_link_to_a_bundle_is_kept(
    bundle: ModelBundle, tmp_path: Path, draft: BundleDraft, parts: dict[str, Path]
) -> None:
    link = tmp_path / "latest"
    link.symlink_to(bundle.folder)
    assert open_bundle(link).info == bundle.info
    write_bundle(link, draft.model_copy(update={"name": "second"}), parts)
    assert link.is_symlink()
    assert open_bundle(bundle.folder).info.name == "second"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user that a permission can stop")
def test_unreadable_file_raises(bundle: ModelBundle) -> None:
    (bundle.folder / "model.onnx").chmod(0)
    assert "cannot be read" in fault_of(bundle.folder)


def test_newer_bundle_replaces_the_older_one(
    bundle: ModelBundle, tmp_path: Path, draft: BundleDraft, parts: dict[str, Path]
) -> None:
    beside = set(tmp_path.iterdir())
    only_graph = {"model.onnx": parts["model.onnx"]}
    write_bundle(bundle.folder, draft.model_copy(update={"name": "newer"}), only_graph)
    assert open_bundle(bundle.folder).info.name == "newer"
    assert set(contents(bundle.folder)) == {"bundle.json", "model.onnx"}
    assert set(tmp_path.iterdir()) == beside


def test_other_folders_are_never_replaced(tmp_path: Path, draft: BundleDraft, parts: dict[str, Path]) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(BundleError, match="must be a bundle, an empty folder or a new name"):
        write_bundle(thesis, draft, parts)
    assert (thesis / "chapter.txt").read_text(encoding="utf-8") == "years of work"
    with pytest.raises(BundleError, match="choose another place"):
        write_bundle(thesis / "chapter.txt", draft, parts)


def test_empty_folder_is_replaced(tmp_path: Path, draft: BundleDraft, parts: dict[str, Path]) -> None:
    (tmp_path / "new").mkdir()
    assert write_bundle(tmp_path / "new", draft, parts) == open_bundle(tmp_path / "new")


def test_a_bundle_without_a_graph_cannot_be_written(tmp_path: Path, draft: BundleDraft, parts: dict[str, Path]) -> None:
    del parts["model.onnx"]
    with pytest.raises(BundleError, match=r"files must list model\.onnx"):
        write_bundle(tmp_path / "bundle", draft, parts)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("name", ["../model.onnx", "/tmp/x", "", "a/b", "bundle.json"])  # noqa: S108 - refused
def test_no_file_is_written_outside_the_folder(
    tmp_path: Path, draft: BundleDraft, parts: dict[str, Path], name: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BundleError):
        write_bundle(tmp_path / "bundle", draft, {**parts, name: parts["model.onnx"]})
    assert sorted(tmp_path.rglob("*")) == before


def test_missing_source_file_raises(tmp_path: Path, draft: BundleDraft) -> None:
    with pytest.raises(BundleError, match=r"gone\.onnx: is missing"):
        write_bundle(tmp_path / "bundle", draft, {"model.onnx": tmp_path / "gone.onnx"})


def test_copy_errors_keep_the_older_bundle(
    bundle: ModelBundle, draft: BundleDraft, parts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(bundle.folder)
    monkeypatch.setattr(store, "_copy", lambda source, target: target.write_bytes(source.read_bytes()[1:]))
    with pytest.raises(BundleError, match="sha256 must be"):
        write_bundle(bundle.folder, draft, parts)
    assert contents(bundle.folder) == before


def test_an_interruption_at_the_last_step_leaves_the_older_bundle(
    bundle: ModelBundle, draft: BundleDraft, parts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, beside = contents(bundle.folder), set(bundle.folder.parent.iterdir())
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if target == bundle.folder and ".old-" not in path.name:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(bundle.folder, draft, parts)
    assert contents(bundle.folder) == before
    assert set(bundle.folder.parent.iterdir()) == beside


REWRITE = """
import errno, os, resource, sys
from pathlib import Path
from brainslice.bundle import store
from brainslice.bundle.types import BundleDraft
from brainslice.errors import ResourceError

folder, left = Path(sys.argv[1]), Path(sys.argv[2])
info = store.open_bundle(folder).info
draft = BundleDraft(**{name: getattr(info, name) for name in BundleDraft.model_fields})
copied = []
"""


def rewrite_elsewhere(bundle: ModelBundle, parts: dict[str, Path], script: str) -> int:
    """Write the bundle again in a process of its own, and give its exit status."""
    whole = REWRITE + textwrap.dedent(script)
    left = next(iter(parts.values())).parent
    return subprocess.run([sys.executable, "-c", whole, bundle.folder, left], check=False, timeout=60).returncode


@pytest.mark.skipif(os.name == "nt", reason="limits the size of files as only POSIX can")
def test_a_full_disk_leaves_the_older_bundle(bundle: ModelBundle, parts: dict[str, Path]) -> None:
    (parts["model.onnx"]).write_bytes(bytes(3_000_000))
    before, beside = contents(bundle.folder), set(bundle.folder.parent.iterdir())
    status = rewrite_elsewhere(
        bundle,
        parts,
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
        try:
            store.write_bundle(folder, draft, {path.name: path for path in left.iterdir()})
        except ResourceError as error:
            sys.exit(5 if "no space left" in str(error) else 1)
        """,
    )
    assert status == 5
    assert contents(bundle.folder) == before
    assert set(bundle.folder.parent.iterdir()) == beside


@pytest.mark.skipif(os.name == "nt", reason="the script asks for POSIX")
def test_killed_write_keeps_the_older_bundle(bundle: ModelBundle, parts: dict[str, Path]) -> None:
    before = contents(bundle.folder)
    status = rewrite_elsewhere(
        bundle,
        parts,
        """
        whole = store._copy
        def die_at_the_second(source, target):
            if copied:
                target.write_bytes(source.read_bytes()[:100])
                os._exit(9)
            copied.append(whole(source, target))
        store._copy = die_at_the_second
        store.write_bundle(folder, draft, {path.name: path for path in left.iterdir()})
        """,
    )
    assert status == 9
    assert contents(bundle.folder) == before
    assert open_bundle(bundle.folder) == bundle


@pytest.mark.skipif(os.name == "nt", reason="the script asks for POSIX")
def test_error_names_the_backup_of_a_killed_write(bundle: ModelBundle, parts: dict[str, Path]) -> None:
    status = rewrite_elsewhere(
        bundle,
        parts,
        """
        rename = Path.rename
        def die_after_the_first(path, target):
            rename(path, target)
            os._exit(9)
        Path.rename = die_after_the_first
        store.write_bundle(folder, draft, {path.name: path for path in left.iterdir()})
        """,
    )
    assert status == 9
    line = fault_of(bundle.folder)
    (retired,) = bundle.folder.parent.glob(".bundle.old-*")
    assert str(retired) in line
    retired.rename(bundle.folder)
    assert open_bundle(bundle.folder) == bundle


@pytest.mark.parametrize(
    ("number", "outcome"),
    [(errno.ENOSPC, ResourceError), (errno.EDQUOT, ResourceError), (errno.EROFS, OSError)],
)
def test_other_disk_errors_are_not_called_full(
    bundle: ModelBundle,
    draft: BundleDraft,
    parts: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    outcome: type[Exception],
) -> None:
    def refuse(_: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number), str(target))

    monkeypatch.setattr(store, "_copy", refuse)
    with pytest.raises(outcome) as refusal:
        write_bundle(bundle.folder, draft, parts)
    assert type(refusal.value) is outcome
    assert open_bundle(bundle.folder) == bundle


def test_equal_contents_have_equal_digests(
    bundle: ModelBundle, tmp_path: Path, draft: BundleDraft, parts: dict[str, Path]
) -> None:
    backwards = dict(reversed(parts.items()))
    assert write_bundle(tmp_path / "second", draft, backwards).info.digest == bundle.info.digest
    assert isinstance(bundle.info, BundleInfo)
