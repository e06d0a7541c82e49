from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from brainslice.dataset.duplicates.fingerprint import Fingerprint, compute_fingerprint
from brainslice.dataset.duplicates.near_duplicates import (
    NEAR_COPY,
    SURE_COPY,
    DuplicateKind,
    DuplicatePair,
    connected_groups,
    find_duplicates,
)
from brainslice.phantom import KINDS, draw_phantom
from brainslice.scan.read import read_scan
from brainslice.scan.types import Slice

COUNT = 32


def drawn(patient: int) -> Image.Image:
    return Image.fromarray(draw_phantom(KINDS[patient % 4], patient, 3, 11).pixels)


def seen(image: Image.Image, name: str = "") -> Fingerprint:
    return compute_fingerprint(Slice(np.array(image, dtype=np.float32), name))


@pytest.fixture(scope="module")
def heads() -> list[Fingerprint]:
    return [seen(drawn(patient), f"head {patient}") for patient in range(COUNT)]


def encoded(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(io.BytesIO(stream.getvalue())).convert("L")


def cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    wide, high = image.size
    return image.crop((int(wide * left), int(high * top), int(wide * (1 - right)), int(high * (1 - bottom))))


CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], DuplicateKind]] = {
    "encoded again": (lambda image: encoded(image, 40), DuplicateKind.NEAR),
    "scaled down": (lambda image: image.resize((120, 120)), DuplicateKind.NEAR),
    "squeezed": (lambda image: image.resize((260, 180)), DuplicateKind.NEAR),
    "brightened": (lambda image: image.point([min(255, 30 + int(v * 0.8)) for v in range(256)]), DuplicateKind.NEAR),
    "with margins": (lambda image: ImageOps.expand(image, (60, 5, 20, 40)), DuplicateKind.NEAR),
    "rotated a little": (lambda image: image.rotate(4, Image.Resampling.BICUBIC), DuplicateKind.NEAR),
    "cropped": (lambda image: cropped(image, 0.14, 0.1, 0.05, 0.12), DuplicateKind.NEAR),
    "mirrored": (ImageOps.mirror, DuplicateKind.MIRRORED),
    "mirrored, cropped, encoded": (
        lambda image: encoded(ImageOps.mirror(cropped(image, 0.1, 0.12, 0.06, 0.0)), 60),
        DuplicateKind.MIRRORED,
    ),
    "upside-down": (ImageOps.flip, DuplicateKind.ROTATED),
    "turned by 180 degrees": (lambda image: image.rotate(180), DuplicateKind.ROTATED),
    "turned by 90 degrees": (lambda image: image.transpose(Image.Transpose.ROTATE_90), DuplicateKind.ROTATED),
}


@pytest.mark.parametrize("change", CHANGES)
def test_finds_copies_that_were(heads: list[Fingerprint], change: str) -> None:
    alter, kind = CHANGES[change]
    originals = range(0, COUNT, 4)
    copies = [seen(alter(drawn(patient)), f"copy {patient}") for patient in originals]
    found = {(twin.first, twin.second): twin for twin in find_duplicates([*heads, *copies])}
    assert set(found) == {(patient, COUNT + place) for place, patient in enumerate(originals)}
    assert {twin.kind for twin in found.values()} == {kind}
    assert all(NEAR_COPY <= twin.correlation <= 1 for twin in found.values())


def test_a_possible_neighbouring_slice_is_not_called_a_copy() -> None:
    slices = [draw_phantom(KINDS[patient % 4], patient, number, 11) for patient in range(12) for number in (2, 4)]
    found = find_duplicates([seen(Image.fromarray(phantom.pixels), str(place)) for place, phantom in enumerate(slices)])
    assert any(twin.kind == DuplicateKind.SIMILAR for twin in found)
    assert all((twin.kind == DuplicateKind.SIMILAR) == (twin.correlation < SURE_COPY) for twin in found)


def test_slices_of_different_heads_are_no_duplicates(heads: list[Fingerprint]) -> None:
    assert find_duplicates(heads) == ()


def test_files_with_equal_pixels_are_paired_with_the_first_of_them() -> None:
    head, other = drawn(1), drawn(2)
    files = [seen(head, "a"), seen(other, "b"), seen(head, "a"), seen(head, "stored differently"), seen(head, "a")]
    assert find_duplicates(files) == (
        DuplicatePair(0, 2, DuplicateKind.IDENTICAL, 1.0),
        DuplicatePair(0, 3, DuplicateKind.SAME_PIXELS, 1.0),
        DuplicatePair(0, 4, DuplicateKind.IDENTICAL, 1.0),
    )


def test_only_one_of_several_equal_files_is_compared_with_other_pictures() -> None:
    files = [seen(drawn(1), "a"), seen(drawn(1), "a"), seen(ImageOps.mirror(drawn(1)), "b")]
    found = find_duplicates(files)
    assert [(twin.first, twin.second, twin.kind) for twin in found] == [
        (0, 1, DuplicateKind.IDENTICAL),
        (0, 2, DuplicateKind.MIRRORED),
    ]
    assert connected_groups(3, found).tolist() == [0, 0, 0]


def test_pairs_within_the_other_set_are_not_reported(heads: list[Fingerprint]) -> None:
    ours, theirs = (
        heads[:4],
        [*heads[2:8], heads[7], seen(ImageOps.mirror(drawn(0)), "m"), seen(ImageOps.mirror(drawn(5)))],
    )
    found = find_duplicates(ours, against=theirs)
    assert [(twin.first, twin.second, twin.kind) for twin in found] == [
        (0, 4 + 7, DuplicateKind.MIRRORED),
        (2, 4, DuplicateKind.IDENTICAL),
        (3, 5, DuplicateKind.IDENTICAL),
    ]


def test_images_without_structure_are_duplicates_only_where_equal() -> None:
    black, grey = np.zeros((50, 60), np.float32), np.full((70, 60), 9, np.float32)
    files = [compute_fingerprint(Slice(picture, str(place))) for place, picture in enumerate((black, grey, black))]
    assert [(twin.first, twin.second, twin.kind) for twin in find_duplicates(files)] == [
        (0, 2, DuplicateKind.SAME_PIXELS)
    ]


def test_no_image_and_one_image_have_no_duplicates(heads: list[Fingerprint]) -> None:
    assert find_duplicates([]) == find_duplicates(heads[:1]) == find_duplicates([], against=heads) == ()


def test_the_order_of_the_files_changes_the_indices_only(heads: list[Fingerprint]) -> None:
    files = [*heads[:6], seen(ImageOps.mirror(drawn(3))), seen(cropped(drawn(4), 0.1, 0.08, 0.1, 0.1))]
    order = [7, 2, 6, 0, 4, 3, 1, 5]
    straight = {frozenset((twin.first, twin.second)) for twin in find_duplicates(files)}
    shuffled = find_duplicates([files[place] for place in order])
    assert straight == {frozenset((order[twin.first], order[twin.second])) for twin in shuffled}
    assert straight == {frozenset((3, 6)), frozenset((4, 7))}


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_groups_are_the_connected_components(count: int, pairs: list[tuple[int, int]]) -> None:
    edges = [(first, second) for first, second in pairs if first < second < count]
    groups = connected_groups(
        count, [DuplicatePair(first, second, DuplicateKind.NEAR, 0.95) for first, second in edges]
    )
    rows, columns = [first for first, _ in edges], [second for _, second in edges]
    _, oracle = connected_components(coo_matrix((np.ones(len(edges)), (rows, columns)), shape=(count, count)))
    assert groups.tolist() == np.unique(oracle, return_inverse=True)[1].tolist()
    firsts = [groups.tolist().index(group) for group in range(groups.max() + 1)]
    assert firsts == sorted(firsts)


def test_no_files_make_no_groups() -> None:
    assert connected_groups(0, []).shape == (0,)


@pytest.mark.real
def test_real_copies_are_found_and_patients_are_kept_apart(real_scans: Path) -> None:
    with (real_scans / "nickparvar_groups.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    same_picture = defaultdict(list)
    for row in rows:
        if row["mask"]:
            same_picture[row["mask"]].append(row)
    couples = [couple for couple in same_picture.values() if len(couple) == 2][::60]
    patients = {row["group"]: row for row in rows if row["patient_known"] == "1"}
    chosen = [row for couple in couples for row in couple] + list(patients.values())[::2]
    files = {row["path"]: row for row in chosen}
    group_of = [row["group"] for row in files.values()]
    twins = find_duplicates([compute_fingerprint(read_scan(real_scans / "nickparvar" / path)) for path in files])
    found = {frozenset((twin.first, twin.second)) for twin in twins}
    place = {path: number for number, path in enumerate(files)}
    assert all(frozenset(place[row["path"]] for row in couple) in found for couple in couples)
    assert all(group_of[twin.first] == group_of[twin.second] for twin in twins)


@pytest.mark.real
def test_other_slices_of_a_real_patient_are_not_called_copies(real_scans: Path) -> None:
    with (real_scans / "nickparvar_groups.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["patient_known"] == "1"]
    slices = defaultdict(list)
    for row in rows:
        slices[row["group"]].append(row)
    longest = sorted(slices.values(), key=len, reverse=True)[:2]
    masks = [row["mask"] for patient in longest for row in patient]
    paths = [row["path"] for patient in longest for row in patient]
    twins = find_duplicates([compute_fingerprint(read_scan(real_scans / "nickparvar" / path)) for path in paths])
    different = [twin for twin in twins if masks[twin.first] != masks[twin.second]]
    assert different
    assert {twin.kind for twin in different} == {DuplicateKind.SIMILAR}
