from __future__ import annotations

import dataclasses
import errno
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.dataset.cache import decode_scans, scan_deciles, scan_statistics
from brainslice.dataset.manifest import Manifest, Record
from brainslice.errors import DatasetError, ResourceError
from brainslice.labels import LabelSet
from brainslice.preprocessing.histogram import deciles
from brainslice.preprocessing.intensity import grey_statistics
from brainslice.preprocessing.recipe import Recipe
from brainslice.scan.read import read_scan

RECIPE = Recipe(size=32)


def scans(root: Path, count: int = 5) -> Manifest:
    """Noise pictures of different sizes, as a prepared set."""
    rng = np.random.default_rng(5)
    records = []
    for number in range(count):
        path = root / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (40 + number, 50), dtype=np.uint8)).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        records.append(Record(path.name, digest, digest, "glioma", f"g{number}", "train", 0, path.name))
    return Manifest(root, "noise", LabelSet(), "audit", official_split=False, records=tuple(records))


def test_rows_are_the_recipe_applied_to_each_scan_in_order(tmp_path: Path) -> None:
    manifest = scans(tmp_path)
    heard: list[tuple[str, int, int]] = []
    decoded = decode_scans(manifest, RECIPE, tmp_path / "cache", lambda *news: heard.append(news))
    assert decoded.shape == (5, 32, 32)
    for row, path in zip(decoded, manifest.paths, strict=True):
        assert np.array_equal(row, RECIPE(read_scan(path)))
    assert heard[-1] == ("decoding scans", 5, 5)


def test_the_second_time_nothing_is_decoded_and_nothing_can_be_overwritten(tmp_path: Path) -> None:
    manifest = scans(tmp_path)
    first = np.array(decode_scans(manifest, RECIPE, tmp_path / "cache"))
    for path in manifest.paths:
        path.unlink()
    again = decode_scans(manifest, RECIPE, tmp_path / "cache")
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    assert np.array_equal(again, first)


def test_temporary_files_of_killed_runs_are_removed_and_those_of_others_kept(tmp_path: Path) -> None:
    manifest, cache = scans(tmp_path), tmp_path / "cache"
    decode_scans(manifest, RECIPE, cache)
    (array,) = cache.iterdir()
    array.unlink()
    stale, other = cache / f".{array.stem}.tmp-abcdefgh.npy", cache / ".scans-other.tmp-abcdefgh.npy"
    lock = cache / f".{array.stem}.lock"
    for path in (stale, other, lock):
        path.touch()
    decode_scans(manifest, RECIPE, cache)
    assert sorted(cache.iterdir()) == sorted([array, other])
    # Killed after the array was written, and before the lock was deleted.
    for path in (stale, lock):
        path.touch()
    decode_scans(manifest, RECIPE, cache)
    assert sorted(cache.iterdir()) == sorted([array, other])


def test_another_recipe_another_order_and_another_scan_are_other_arrays(tmp_path: Path) -> None:
    manifest, cache = scans(tmp_path), tmp_path / "cache"
    plain = decode_scans(manifest, RECIPE, cache)
    uncropped = decode_scans(manifest, Recipe(size=32, crop=False, low=10.0), cache)
    turned = decode_scans(dataclasses.replace(manifest, records=manifest.records[::-1]), RECIPE, cache)
    assert not np.array_equal(plain, uncropped)
    assert np.array_equal(plain, turned[::-1])
    assert len(list(cache.iterdir())) == 3


def test_deciles_are_those_of_the_stretched_scans_and_are_kept(tmp_path: Path) -> None:
    manifest = scans(tmp_path)
    table = scan_deciles(manifest, RECIPE, tmp_path / "cache")
    expected = [deciles(RECIPE.stretched(read_scan(path))) for path in manifest.paths]
    np.testing.assert_array_equal(table, expected)
    for path in manifest.paths:
        path.unlink()
    np.testing.assert_array_equal(scan_deciles(manifest, RECIPE, tmp_path / "cache"), expected)
    with pytest.raises(DatasetError):
        scan_deciles(manifest, dataclasses.replace(RECIPE, low=2.0), tmp_path / "cache")


def test_more_scans_than_one_block_keep_their_order(tmp_path: Path) -> None:
    manifest = scans(tmp_path, count=131)
    decoded = decode_scans(manifest, Recipe(size=16), tmp_path / "cache")
    assert np.array_equal(decoded[130], Recipe(size=16)(read_scan(manifest.paths[130])))


def test_statistics_are_those_of_the_untouched_pictures(tmp_path: Path) -> None:
    manifest = scans(tmp_path)
    table = scan_statistics(manifest, tmp_path / "cache")
    assert table.shape == (5, 36)
    assert np.array_equal(table[3], grey_statistics(read_scan(manifest.paths[3]).pixels))


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_a_damaged_array_is_made_again(tmp_path: Path, damage: bytes | None) -> None:
    manifest, cache = scans(tmp_path), tmp_path / "cache"
    first = np.array(decode_scans(manifest, RECIPE, cache))
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:-100] if damage is None else damage)
    assert np.array_equal(decode_scans(manifest, RECIPE, cache), first)


def test_a_scan_changed_since_it_was_prepared_is_refused(tmp_path: Path) -> None:
    manifest = scans(tmp_path)
    Image.fromarray(np.zeros((40, 40), dtype=np.uint8)).save(manifest.paths[2])
    with pytest.raises(DatasetError, match=r"2\.png: is not the file that was prepared"):
        decode_scans(manifest, RECIPE, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_scan_that_is_gone_is_named_with_the_remedy(tmp_path: Path) -> None:
    manifest = scans(tmp_path)
    manifest.paths[4].unlink()
    with pytest.raises(DatasetError, match=r"4\.png: .*run brainslice prepare again"):
        decode_scans(manifest, RECIPE, tmp_path / "cache")


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = scans(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(ResourceError, match="no space left"):
        decode_scans(manifest, RECIPE, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
