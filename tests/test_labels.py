from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import DatasetError, UsageError
from brainslice.labels import LabelSet


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("notumor", "no_tumor"),
        ("No Tumor", "no_tumor"),
        ("NO", "no_tumor"),
        ("no-tumour", "no_tumor"),
        ("Glioma_Tumor", "glioma"),
        ("pituitary", "pituitary"),
        ("MENINGIOMA", "meningioma"),
        ("yes", None),
        ("masks", None),
    ],
)
def test_a_folder_is_known_however_it_is_spelt(folder: str, name: str | None) -> None:
    assert LabelSet().from_folder(folder) == name


@given(st.sampled_from(LabelSet().names), st.sampled_from(["", " ", "_", "-"]))
def test_spelling_never_changes_the_class(name: str, gap: str) -> None:
    assert LabelSet().from_folder(name.upper().replace("_", gap)) == name


def test_names_of_other_sets_are_their_own() -> None:
    assert LabelSet(("yes", "no"), "no").from_folder("No") == "no"
    assert LabelSet(("a", "b"), "a").from_folder("notumor") is None


def test_knows_places_and_names() -> None:
    labels = LabelSet()
    assert [labels.index(name) for name in labels.names] == [0, 1, 2, 3]
    assert labels.healthy_index == 2
    with pytest.raises(DatasetError, match="class must be one of"):
        labels.index("cat")


@pytest.mark.parametrize("names", [(), ("a",), ("a", "a"), ("b", "c")])
def test_refuses_sets_that_no_classifier_can_have(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        LabelSet(names, "a")
