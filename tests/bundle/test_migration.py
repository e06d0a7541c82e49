from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from brainslice.bundle import open_bundle, update_bundle
from brainslice.bundle.migration import (
    RENAMED_IN_FORMAT_2,
    is_sealed,
    migrate_adaptation,
    migrate_description,
    rename_keys,
)
from brainslice.errors import BundleError
from brainslice.files import sha256_of

FORMAT_1 = Path(__file__).with_name("bundle_format_1.json")


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A bundle as format 1 stored it, with files of this test's own behind its hashes."""
    folder = tmp_path / "older"
    folder.mkdir()
    said = json.loads(FORMAT_1.read_text(encoding="utf-8"))
    for name in said["files"]:
        (folder / name).write_bytes(name.encode())
        said["files"][name] = sha256_of(folder / name)
    (folder / "bundle.json").write_text(sealed(said), encoding="utf-8", newline="\n")
    return folder


def sealed(said: dict[str, object]) -> str:
    import hashlib

    def spelled(digest: str) -> str:
        return json.dumps({**said, "digest": digest}, indent=2, ensure_ascii=False) + "\n"

    return spelled(hashlib.sha256(spelled("0" * 64).encode()).hexdigest())


def test_is_sealed_verifies_format_1() -> None:
    text = FORMAT_1.read_text(encoding="utf-8")
    assert is_sealed(text)
    assert not is_sealed(text.replace('"threshold": 0.5', '"threshold": 0.1', 1))
    assert not is_sealed(text + "\n")


def test_format_1_opens_and_keeps_its_digest(older: Path) -> None:
    before = json.loads((older / "bundle.json").read_text(encoding="utf-8"))
    info = open_bundle(older).info
    assert (info.format, info.digest) == (2, before["digest"])
    assert info.provenance.training_recipe == before["provenance"]["training"]
    assert info.ood_detector is not None
    assert info.half_precision is not None
    assert info.ood_detector.components == before["outliers"]["directions"]
    assert info.ood_detector.rejection_rate == before["outliers"]["refused"]
    assert info.half_precision.same_class == before["halved"]["same_class"]


def test_updated_format_1_is_written_as_format_2(older: Path) -> None:
    update_bundle(older, threshold=0.3)
    said = json.loads((older / "bundle.json").read_text(encoding="utf-8"))
    assert said["format"] == 2
    assert "outliers" not in said
    assert open_bundle(older).info.threshold == 0.3


@pytest.mark.parametrize("change", [lambda said: said.update(threshold=0.1), lambda said: said.pop("digest")])
def test_an_altered_bundle_of_format_1_is_refused(older: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = older / "bundle.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    change(said)
    path.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8", newline="\n")
    with pytest.raises(BundleError, match=r"altered|digest"):
        open_bundle(older)


def test_every_renamed_key() -> None:
    text = json.dumps({"ensemble": {"heard": 2}, **json.loads(FORMAT_1.read_text(encoding="utf-8"))})
    said = json.loads(migrate_description(text, 2))
    for path, new in RENAMED_IN_FORMAT_2.items():
        *sections, old = path.split(".")
        inner = said
        for place, _ in enumerate(sections):
            section = ".".join(sections[: place + 1])
            inner = inner[RENAMED_IN_FORMAT_2.get(section, sections[place])]
        assert new in inner
        assert old not in inner


def test_keys_are_renamed_by_path() -> None:
    tree = {"a": {"b": 1}, "b": 2}
    assert rename_keys(tree, {"a.b": "c"}) == {"a": {"c": 1}, "b": 2}
    assert tree == {"a": {"b": 1}, "b": 2}


def test_adaptation_of_format_1_is_migrated() -> None:
    older = {"format": 1, "table": [], "curve": [], "out_of_fold": [{"called_tumour": True}]}
    newer = {"format": 2, "comparison": [], "learning_curve": [], "out_of_fold": [{"predicted_tumour": True}]}
    assert json.loads(migrate_adaptation(json.dumps(older))) == newer
    assert json.loads(migrate_adaptation(json.dumps(newer))) == newer
