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
def test_spellings_of_class_folders(folder: str, name: str | None) -> None:
    assert LabelSet().from_folder(folder) == name


@given(st.sampled_from(LabelSet().names), st.sampled_from(["", " ", "_", "-"]))
def test_spelling_never_changes_the_class(name: str, gap: str) -> None:
    assert LabelSet().from_folder(name.upper().replace("_", gap)) == name


def test_names_of_other_data_sets_are_kept() -> None:
    assert LabelSet(("yes", "no"), "no").from_folder("No") == "no"
    assert LabelSet(("a", "b"), "a").from_folder("notumor") is None


def test_index_and_healthy_index() -> None:
    labels = LabelSet()
    assert [labels.index(name) for name in labels.names] == [0, 1, 2, 3]
    assert labels.healthy_index == 2
    with pytest.raises(DatasetError, match="class must be one of"):
        labels.index("cat")


@pytest.mark.parametrize("names", [(), ("a",), ("a", "a"), ("b", "c")])
def test_invalid_label_sets_raise(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        LabelSet(names, "a")
