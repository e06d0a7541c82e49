"""Drawn heads of another site in folders ``yes`` and ``no``."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from brainslice.phantom import write_phantoms

KINDS = {"yes": ("glioma", "meningioma"), "no": ("notumor",)}


def write_site(folder: Path, patients: int = 6, seed: int = 23) -> Path:
    """Write heads that are in no other set, in folders ``yes`` and ``no``."""
    return Path(shutil.copytree(_drawn(patients, seed), folder, dirs_exist_ok=True))


@functools.cache
def _drawn(patients: int, seed: int) -> Path:
    """Draw the heads once a process."""
    root = Path(tempfile.mkdtemp(prefix="brainslice-tests-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    write_phantoms(root / "drawn", patients_per_class=patients, slices=2, seed=seed)
    for kind, classes in KINDS.items():
        (root / "site" / kind).mkdir(parents=True)
        for path in sorted((root / "drawn").rglob("*")):
            if path.is_file() and path.parent.name in classes:
                shutil.copy(path, root / "site" / kind / f"{path.parent.parent.name}-{path.parent.name}-{path.name}")
    return root / "site"
