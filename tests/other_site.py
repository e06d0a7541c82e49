"""Drawn heads of another site in folders ``yes`` and ``no``."""

from __future__ import annotations

import shutil
from pathlib import Path

from brainslice.phantom import write_phantoms

KINDS = {"yes": ("glioma", "meningioma"), "no": ("notumor",)}


def write_site(folder: Path, patients: int = 6, seed: int = 23) -> Path:
    """Draw heads that are in no other set, in folders ``yes`` and ``no``."""
    drawn = folder.with_name(f"{folder.name}-drawn")
    write_phantoms(drawn, patients_per_class=patients, slices=2, seed=seed)
    for kind, classes in KINDS.items():
        (folder / kind).mkdir(parents=True)
        for path in sorted(path for path in drawn.rglob("*") if path.is_file() and path.parent.name in classes):
            shutil.copy(path, folder / kind / f"{path.parent.parent.name}-{path.parent.name}-{path.name}")
    shutil.rmtree(drawn)
    return folder
