from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.bundle import store
from brainslice.bundle.store import ModelBundle, open_bundle, update_bundle
from brainslice.errors import BundleError
from operating_points import operating_point


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_update_changes_given_fields_only(bundle: ModelBundle) -> None:
    before = contents(bundle.folder)
    amended = update_bundle(bundle.folder, threshold=0.3)
    assert amended == open_bundle(bundle.folder)
    assert amended.info.threshold == 0.3
    assert amended.info.digest != bundle.info.digest
    own = {"digest", "seal", "files"}
    assert amended.info.model_copy(update={"threshold": bundle.info.threshold}).model_dump(
        exclude=own
    ) == bundle.info.model_dump(exclude=own)
    after = contents(bundle.folder)
    assert {name for name in before if before[name] != after[name]} == {"bundle.json", "README.md"}


def test_update_changes_the_card(bundle: ModelBundle) -> None:
    amended = update_bundle(bundle.folder, threshold=0.123, operating_points=(operating_point("ward-3"),))
    card = amended.path("README.md").read_text(encoding="utf-8")
    assert "= 0.123 on" in card
    assert "Operating point ward-3: P(tumour)" in card


def test_a_bundle_without_a_card_gets_none(bundle: ModelBundle, parts: dict[str, Path]) -> None:
    info = bundle.info
    draft = store.BundleDraft(**{name: getattr(info, name) for name in store.BundleDraft.model_fields})
    plain = store.write_bundle(bundle.folder, draft, {"model.onnx": parts["model.onnx"]})
    assert set(update_bundle(plain.folder, threshold=0.2).info.files) == {"model.onnx"}


def test_later_updates_take_precedence(bundle: ModelBundle) -> None:
    update_bundle(bundle.folder, threshold=0.2)
    amended = update_bundle(bundle.folder, operating_points=(operating_point(),))
    assert amended.info.threshold == 0.2
    assert [point.name for point in amended.info.operating_points] == ["sensitivity-0.95"]
    assert contents(bundle.folder).keys() == {"bundle.json", *bundle.info.files}


def test_a_file_may_be_added_or_replaced(bundle: ModelBundle, tmp_path: Path) -> None:
    for text in ("one", "two"):
        (tmp_path / "left.json").write_text(text)
        amended = update_bundle(bundle.folder, added={"curve.json": tmp_path / "left.json"})
        assert amended.path("curve.json").read_text() == text
    assert set(open_bundle(bundle.folder).info.files) == {*bundle.info.files, "curve.json"}


@pytest.mark.parametrize("change", [{"threshold": 1.5}, {"treshold": 0.5}, {"operating_points": ("x",)}])
def test_invalid_update_keeps_the_bundle(bundle: ModelBundle, change: dict[str, object]) -> None:
    before = contents(bundle.folder)
    with pytest.raises(BundleError, match="the bundle stays as it was"):
        update_bundle(bundle.folder, **change)
    assert contents(bundle.folder) == before


def test_altered_bundle_cannot_be_updated(bundle: ModelBundle) -> None:
    bundle.path("model.onnx").write_bytes(b"another")
    with pytest.raises(BundleError, match="sha256 must be"):
        update_bundle(bundle.folder, threshold=0.3)


def test_an_interruption_leaves_the_older_description(bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(bundle.folder)

    def interrupted(_: Path, __: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        update_bundle(bundle.folder, threshold=0.3)
    assert contents(bundle.folder) == before
