from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import DatasetError, UsageError
from brainslice.labels import LabelSet, class_title, labels_from_folders


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


@pytest.mark.parametrize(
    ("folders", "names", "healthy"),
    [
        (("yes", "no"), ("no", "yes"), "no"),
        (("Tumor", "Sin tumor"), ("Sin tumor", "Tumor"), "Sin tumor"),
        (("glioma", "normal"), ("glioma", "no_tumor"), "no_tumor"),
        (("LGG", "HGG", "Healthy controls"), ("HGG", "Healthy controls", "LGG"), "Healthy controls"),
        (("glioma", "meningioma", "pituitary_tumor"), ("glioma", "meningioma", "pituitary"), None),
        (("glioblastoma", "metastases"), ("glioblastoma", "metastases"), None),
    ],
)
def test_the_healthy_class_is_known_by_its_name(
    folders: tuple[str, ...], names: tuple[str, ...], healthy: str | None
) -> None:
    found = labels_from_folders(folders)
    assert (found.names, found.healthy) == (names, healthy)


@pytest.mark.parametrize("folders", [("1", "2"), ("A", "B", "C"), ("no", "normal", "tumor")])
def test_names_that_do_not_tell_ask_for_the_option(folders: tuple[str, ...]) -> None:
    with pytest.raises(DatasetError, match=r"--set data\.healthy_class=NAME, one of these names, or .*=null"):
        labels_from_folders(folders)
    assert labels_from_folders(folders, folders[0]).healthy == folders[0]
    assert labels_from_folders(folders, None).healthy is None


def test_accents_are_equal_however_they_are_encoded() -> None:
    composed = unicodedata.normalize("NFC", "Tumor área")
    found = labels_from_folders([unicodedata.normalize("NFD", composed), composed, "sano"])
    assert found.names == (composed, "sano")
    assert found.from_folder(unicodedata.normalize("NFD", composed.upper())) == composed


def test_a_set_without_a_healthy_class_has_no_tumour_decision() -> None:
    with pytest.raises(UsageError, match="no tumour/healthy decision"):
        _ = LabelSet(("glioma", "meningioma"), None).healthy_index


def test_a_class_is_written_without_underscores_and_tumour_one_way() -> None:
    assert class_title("no_tumor") == "no tumour"
