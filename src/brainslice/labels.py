"""The classes: their names, their order, and which one is healthy."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from brainslice.errors import DatasetError, UsageError

DEFAULT_HEALTHY: Final = "no_tumor"
"""The default of ``data.healthy_class``, with which the healthy class is guessed from the names."""

_ALIASES = {
    "glioma": "glioma",
    "gliomatumor": "glioma",
    "meningioma": "meningioma",
    "meningiomatumor": "meningioma",
    "pituitary": "pituitary",
    "pituitarytumor": "pituitary",
    "notumor": "no_tumor",
    "notumour": "no_tumor",
    "no": "no_tumor",
    "normal": "no_tumor",
    "healthy": "no_tumor",
    "none": "no_tumor",
}
_HEALTHY = re.compile(
    r"no|none|nil|negative|controls?|(no|non|without|sin)tumou?r(es|s)?|tumou?rfree|"
    r"(normal|healthy|sano|sana)s?(brains?|controls?|mri|scans?)?|(brains?)(normal|healthy)"
)
_TUMOUR = re.compile(r"oma(s|tumou?r)?\b|tumou?r|cancer|metasta|gbm|hgg|lgg|pituitary|lesion|^(yes|positive)$")


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Class names in the order of a network's outputs.

    Attributes:
        names: At least two different names.
        healthy: The class without tumour, one of ``names``; None if there is none.
    """

    names: tuple[str, ...] = ("glioma", "meningioma", "no_tumor", "pituitary")
    healthy: str | None = DEFAULT_HEALTHY

    def __post_init__(self) -> None:
        if len(self.names) < 2 or len(set(self.names)) != len(self.names):  # noqa: PLR2004 - two is the least choice
            msg = f"class names must be two or more different names, got {list(self.names)}"
            raise UsageError(msg)
        if self.healthy is not None and self.healthy not in self.names:
            msg = f"the healthy class must be one of {list(self.names)}, got {self.healthy!r}"
            raise UsageError(msg)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def healthy_index(self) -> int:
        """The index of the healthy class.

        Raises:
            UsageError: The set has no healthy class.
        """
        if self.healthy is None:
            msg = f"the classes {', '.join(self.names)} have no healthy one, so there is no tumour/healthy decision"
            raise UsageError(msg)
        return self.names.index(self.healthy)

    def index(self, name: str) -> int:
        """Return the index of a class.

        Raises:
            DatasetError: There is no such class.
        """
        if name not in self.names:
            msg = f"class must be one of {list(self.names)}, got {name!r}"
            raise DatasetError(msg)
        return self.names.index(name)

    def from_folder(self, folder: str) -> str | None:
        """Return the class that a folder is named after, or None.

        Case, spaces, dots, dashes, underscores and the encoding of accents are ignored, and common aliases are known:
        ``notumor``, ``No Tumor`` and ``no`` all mean ``no_tumor``.
        """
        key = _key(folder)
        alias = _ALIASES.get(key, "")
        return {_key(name): name for name in self.names}.get(key) or (alias if alias in self.names else None)


def class_title(name: str) -> str:
    """Return a class name as English words: without underscores, and "tumour" spelled as everywhere."""
    return re.sub(r"\btumor\b", "tumour", name.replace("_", " "))


def labels_from_folders(folders: Iterable[str], healthy: str | None = DEFAULT_HEALTHY) -> LabelSet:
    """Make a label set from the names of class folders.

    If one is a tumour of the default set, the default names are used, so that ``normal`` becomes ``no_tumor``;
    otherwise folders keep their names.

    Raises:
        DatasetError: There are fewer than two classes, or the healthy one is unknown.
    """
    spelled: dict[str, str] = {}
    for folder in sorted(folders):
        spelled.setdefault(_key(folder), unicodedata.normalize("NFC", folder).strip())
    default = LabelSet()
    if any(_ALIASES.get(key, DEFAULT_HEALTHY) != DEFAULT_HEALTHY for key in spelled):
        spelled = {key: default.from_folder(name) or name for key, name in spelled.items()}
    names = tuple(sorted(set(spelled.values())))
    if len(names) < 2:  # noqa: PLR2004 - two is the least choice
        msg = f"class folders must be two or more, got {list(names)}; put the scans of each class into its own folder"
        raise DatasetError(msg)
    return LabelSet(names, choose_healthy(names, healthy))


def choose_healthy(names: Sequence[str], healthy: str | None = DEFAULT_HEALTHY) -> str | None:
    """Return the healthy class: the one given, or else guessed from the names.

    Args:
        names: The classes.
        healthy: One of them; None if none is healthy; the default to guess.

    Returns:
        The healthy class; None if there is none, as when all names are tumours.

    Raises:
        DatasetError: The given name is no class, or the healthy class cannot be guessed.
    """
    if healthy is None:
        return None
    given = {_key(name): name for name in names}.get(_key(healthy))
    if given is not None:
        return given
    option = "--set data.healthy_class=NAME"
    if healthy != DEFAULT_HEALTHY:
        msg = f"data.healthy_class must be one of {list(names)}, got {healthy!r}; give {option}"
        raise DatasetError(msg)
    candidates = [name for name in names if _HEALTHY.fullmatch(_key(name))]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates and all(_TUMOUR.search(_key(name)) for name in names):
        return None
    msg = (
        f"the class names {', '.join(names)} do not say which one is healthy; give {option}, one of these names, "
        "or --set data.healthy_class=null where none is healthy"
    )
    raise DatasetError(msg)


def _key(name: str) -> str:
    return re.sub(r"[\s._-]+", "", unicodedata.normalize("NFC", name)).casefold()
