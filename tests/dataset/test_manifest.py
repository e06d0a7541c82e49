from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.dataset.manifest import Manifest, Record
from brainslice.errors import DatasetError, ResourceError
from brainslice.labels import LabelSet

LABELS = LabelSet()


def record(number: int, **changes: object) -> Record:
    plain = Record(
        path=f"train/glioma/{number}.jpg",
        sha256=f"{number:064x}",
        pixel_hash=f"{number + 7:064x}",
        label="glioma",
        group=f"G{number}",
        split="train",
        fold=number % 5,
        source=f"Training/glioma/{number}.JPG",
    )
    return dataclasses.replace(plain, **changes)


def manifest(root: Path, *records: Record) -> Manifest:
    return Manifest(root, "some", LABELS, "audit", official_split=True, records=records, masks=None)


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."}
)


@given(
    st.lists(names, min_size=1, max_size=5, unique=True),
    st.sampled_from(["train", "val", "test"]),
    st.integers(0, 9),
)
def test_reading_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, files: list[str], split: str, fold: int
) -> None:
    folder = tmp_path_factory.mktemp("set")
    records = [
        record(i, path=f"{split}/glioma/{name}", source=name, group=name, split=split, fold=fold)
        for i, name in enumerate(files)
    ]
    written = dataclasses.replace(manifest(folder, *records), masks="C:\\masks", name='x,\n"y"')
    written.write(folder)
    assert Manifest.read(folder) == written


def test_digest_ignores_names_and_order_but_no_contents(tmp_path: Path) -> None:
    first, second = record(1), record(2)
    plain = manifest(tmp_path, first, second).digest
    assert (
        manifest(tmp_path / "elsewhere", second, dataclasses.replace(first, path="a.png", source="b")).digest == plain
    )
    for change in (
        {"sha256": "0" * 64},
        {"label": "pituitary"},
        {"group": "G2"},
        {"split": "test"},
        {"fold": 4},
    ):
        assert manifest(tmp_path, dataclasses.replace(first, **change), second).digest != plain


def test_indices_follow_the_labels_and_the_sorted_groups(tmp_path: Path) -> None:
    records = [
        record(1, label="pituitary", group="b"),
        record(2, group="a"),
        record(3, label="no_tumor", group="b"),
    ]
    found = manifest(tmp_path, *records)
    assert found.label_indices.tolist() == [3, 0, 2]
    assert found.group_indices.tolist() == [1, 0, 1]
    assert found.paths[0] == tmp_path / "train" / "glioma" / "1.jpg"


def test_only_the_phantom_set_is_a_phantom(tmp_path: Path) -> None:
    assert not manifest(tmp_path, record(1)).phantom
    assert dataclasses.replace(manifest(tmp_path, record(1)), name="phantom").phantom


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.png", "train/../../a.png", ""])
def test_a_path_outside_the_set_is_refused(path: str) -> None:
    with pytest.raises(DatasetError, match="must stay inside"):
        record(1, path=path)


@pytest.mark.parametrize("change", [{"split": "training"}, {"fold": -1}, {"group": ""}])
def test_a_record_that_belongs_nowhere_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DatasetError, match=r"must be|needs a fold"):
        record(1, **change)


def test_invalid_conformal_sets_raise(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="at least one scan"):
        manifest(tmp_path)
    with pytest.raises(DatasetError, match="each file once"):
        manifest(tmp_path, record(1), record(1))
    with pytest.raises(DatasetError, match="got 'sarcoma'"):
        manifest(tmp_path, record(1, label="sarcoma"))


def test_a_missing_manifest_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"dataset\.json: .*run brainslice prepare SOURCE first"):
        Manifest.read(tmp_path)


def test_a_table_changed_after_writing_is_noticed(tmp_path: Path) -> None:
    manifest(tmp_path, record(1), record(2)).write(tmp_path)
    table = tmp_path / "manifest.csv"
    table.write_text(table.read_text().replace("G2", "G1"))
    with pytest.raises(DatasetError, match=r"manifest\.csv: is not the table"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda header: header | {"format": 2},
        lambda header: header | {"surprise": 1},
        lambda header: {key: value for key, value in header.items() if key != "name"},
        lambda header: header | {"class_names": ["glioma"]},
    ],
)
def test_a_header_of_another_kind_is_refused_in_one_line(tmp_path: Path, damage: object) -> None:
    manifest(tmp_path, record(1)).write(tmp_path)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(DatasetError) as caught:
        Manifest.read(tmp_path)
    assert "\n" not in str(caught.value)
    assert "run brainslice prepare" in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    manifest(tmp_path, record(1)).write(tmp_path)
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="cannot be read"):
        Manifest.read(tmp_path)


def test_a_full_disk_leaves_the_old_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = manifest(tmp_path, record(1))
    old.write(tmp_path)

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(ResourceError, match="no space left"):
            manifest(tmp_path, record(2)).write(tmp_path)
    assert Manifest.read(tmp_path) == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset.json", "manifest.csv"]
