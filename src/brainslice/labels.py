"""The classes: their names, their order, and which one is healthy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from brainslice.errors import DatasetError, UsageError

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


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Class names in the order of a network's outputs.

    Attributes:
        names: At least two different names.
        healthy: The name of the class that is no tumour; one of ``names``.
    """

    names: tuple[str, ...] = ("glioma", "meningioma", "no_tumor", "pituitary")
    healthy: str = "no_tumor"

    def __post_init__(self) -> None:
        """Refuse sets that no classifier can have."""
        if len(self.names) < 2 or len(set(self.names)) != len(self.names):  # noqa: PLR2004 - two is the least choice
            msg = f"class names must be two or more different names, got {list(self.names)}"
            raise UsageError(msg)
        if self.healthy not in self.names:
            msg = f"the healthy class must be one of {list(self.names)}, got {self.healthy!r}"
            raise UsageError(msg)

    def __len__(self) -> int:
        """Count the classes."""
        return len(self.names)

    @property
    def healthy_index(self) -> int:
        """The healthy class's place in the order."""
        return self.names.index(self.healthy)

    def index(self, name: str) -> int:
        """Find a class's place in the order.

        Raises:
            DatasetError: The name is not one of ours.
        """
        if name not in self.names:
            msg = f"class must be one of {list(self.names)}, got {name!r}"
            raise DatasetError(msg)
        return self.names.index(name)

    def from_folder(self, folder: str) -> str | None:
        """Read a class from a folder's name, however it is spelt.

        Case, spaces, dots, dashes and underscores do not count, and common aliases are known:
        ``notumor``, ``No Tumor`` and ``no`` all mean ``no_tumor``.

        Returns:
            The class's own name, or None where the folder names no class of this set.
        """
        key = _key(folder)
        ours = {_key(name): name for name in self.names}
        alias = _ALIASES.get(key, "")
        return ours.get(key) or (alias if alias in self.names else None)


def _key(name: str) -> str:
    return re.sub(r"[\s._-]+", "", name).casefold()
