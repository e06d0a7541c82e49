"""What a test is told about a project that ran the whole pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

QUICK = (
    "model.head=linear",
    "train.lesion.weight=0",
    "augment.mixup=true",
    *(f"augment.{name}=0" for name in ("gamma", "bias_field", "noise", "blur", "inversion")),
    "data.image_size=96",
    "train.quick.views=1",
    "train.quick.head_epochs=10",
    "train.quick.epochs=2",
)
"""Settings under which a network of ours learns phantoms in seconds; the backbone is the one that ships."""


@dataclass(frozen=True)
class Project:
    """A project whose pipeline has run once on phantoms, for reading only."""

    root: Path
    source: Path
    said: str

    @property
    def words(self) -> tuple[str, ...]:
        """The settings it ran with, as words of the command line."""
        return settings_words(*QUICK)


def settings_words(*settings: str) -> tuple[str, ...]:
    """Spell settings as words of the command line."""
    return tuple(word for setting in settings for word in ("--set", setting))
