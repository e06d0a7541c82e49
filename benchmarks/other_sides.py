"""Peers that need small libraries only: argparse, imagehash, cleanvision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Settings = dict[str, Any]
Work = Callable[[], int]


def argparse_help(_: Settings) -> Work:
    """Print the help of a parser with as many commands as this package has."""
    import argparse

    def work() -> int:
        parser = argparse.ArgumentParser(description="A classifier.")
        commands = parser.add_subparsers()
        for number in range(24):
            commands.add_parser(f"command-{number}", help="Does something.").add_argument("--option")
        parser.print_help()
        return 1

    return work


def perceptual_hash(settings: Settings) -> Work:
    """Hash every picture and its mirror image, and compare all with all."""
    return _hash(settings["audited"])


def perceptual_hash_whole(settings: Settings) -> Work:
    """Do the same with the whole folder of pictures."""
    return _hash(settings["whole"])


def _hash(folder: str) -> Work:
    import imagehash
    import numpy as np
    from PIL import Image, ImageOps

    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())

    def bits(image: Image.Image) -> np.ndarray:
        return imagehash.phash(image).hash.ravel().astype(np.float32) * 2 - 1

    def work() -> int:
        plain, mirrored = [], []
        for path in paths:
            with Image.open(path) as image:
                plain.append(bits(image))
                mirrored.append(bits(ImageOps.mirror(image)))
        first = np.stack(plain)
        for other in (first, np.stack(mirrored)):
            for start in range(0, len(first), 1024):
                np.nonzero(first[start : start + 1024] @ other.T >= 64 - 2 * 8)
        return len(paths)

    return work


def cleanvision(settings: Settings) -> Work:
    """Search near duplicates with cleanvision."""
    from cleanvision import Imagelab

    def work() -> int:
        lab = Imagelab(data_path=settings["audited"], verbose=False)
        lab.find_issues({"near_duplicates": {}, "exact_duplicates": {}}, n_jobs=1, verbose=False)
        return len(lab.issues)

    return work
