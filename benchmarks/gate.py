"""How well a bundle's gate knows pictures that are no MRI of a head, and how many scans it turns away.

Usage: python benchmarks/gate.py BUNDLE PROJECT [--strange PLACE ...] [--ct FILE ...] [--usual PLACE ...]

PROJECT is the prepared project the bundle was trained in; its validation scans, which set the gate's limit, are the
usual kind. As their own limit flatters them, the limit is also set on half of their groups, drawn 200 times, and the
other half is counted. PLACES are files or folders, of pictures or volumes: --strange what must be refused, --usual
scans from elsewhere that should not be. --ct takes DICOM files of computed tomography, which the reader refuses by what
they say of themselves, and renders their pixels in three windows as pictures would show them. Of each place the
share refused is told, by the gate's limit and by the plain checks of the picture; of the strange ones also the
area under the ROC curve of strangeness against the validation scans.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from sklearn.metrics import roc_auc_score

from brainslice.config import read_config
from brainslice.dataset import Manifest, assign_split, decode_scans
from brainslice.decision import image_faults
from brainslice.errors import UnreadableScanError
from brainslice.inference import Predictor
from brainslice.paths import ProjectPaths
from brainslice.scan import Slice, read_scan, read_volume

WINDOWS = ((40.0, 80.0), (40.0, 400.0), (400.0, 1800.0))
"""Centre and width in Hounsfield units: brain, soft tissue, bone."""

HALVES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Pictures of one kind as the gate judges them: strangeness, and whether a plain check fails, both ``(n,)``."""

    strangeness: np.ndarray
    faulty: np.ndarray

    @property
    def refused(self) -> np.ndarray:
        """Whether each is refused ``(n,)``."""
        return np.asarray((self.strangeness > 1) | self.faulty)


def look(predictor: Predictor, inputs: np.ndarray) -> Seen:
    """Judge network inputs ``(n, h, w)``."""
    gate = predictor.verdict_rules.ood_detector
    if gate is None:
        msg = f"{predictor.bundle.folder}: has no gate; train it again"
        raise SystemExit(msg)
    features = predictor.score(inputs).features
    return Seen(gate.ood_score(features), np.array([bool(image_faults(picture)) for picture in inputs]))


def slices_of(place: Path) -> Iterator[Slice]:
    """Read a picture, a volume slice by slice, or a folder of either; what cannot be read is told and passed over."""
    for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if not path.is_file():
            continue
        try:
            if path.name.endswith((".nii", ".nii.gz")):
                volume = read_volume(path)
                fifth = len(volume.voxels) // 5  # at either end there is little of a head
                yield from (volume.axial_slice(index) for index in range(fifth, len(volume.voxels) - fifth))
            else:
                yield read_scan(path)
        except UnreadableScanError as error:
            print(f"  refused by the reader: {str(error).splitlines()[0][:150]}")


def windows_of(path: Path) -> Iterator[Slice]:
    """Render a CT slice as pictures show it."""
    image = pydicom.dcmread(path)
    units = image.pixel_array * float(image.get("RescaleSlope", 1)) + float(image.get("RescaleIntercept", 0))
    for centre, width in WINDOWS:
        grey = np.clip((units - centre) / width + 0.5, 0, 1) * 255
        yield Slice(grey.astype(np.float32), "0" * 64)


def tell(name: str, seen: Seen, usual: Seen | None = None) -> None:
    """Print one row."""
    beyond, faulty = (seen.strangeness > 1).mean(), seen.faulty.mean()
    row = f"{name:48.48s} n {len(seen.refused):5d}  refused {seen.refused.mean():6.1%}"
    row += f"  (limit {beyond:6.1%}, picture {faulty:6.1%})  least {seen.strangeness.min():.3f}"
    if usual is not None:
        kinds = np.repeat([False, True], [len(usual.strangeness), len(seen.strangeness)])
        area = roc_auc_score(kinds, np.concatenate([usual.strangeness, seen.strangeness]))
        row += f"  AUROC {area:.4f}"
    print(row)


def tell_halves(seen: Seen, groups: np.ndarray, allowed: float) -> None:
    """Print how many scans are refused by a limit that other groups set."""
    rng = np.random.default_rng(0)
    names, shares = np.unique(groups), []
    for _ in range(HALVES):
        sets = np.isin(groups, rng.permutation(names)[: len(names) // 2])
        limit = np.quantile(seen.strangeness[sets], 1 - allowed, method="higher")
        shares.append(((seen.strangeness > limit) | seen.faulty)[~sets].mean())
    low, high = np.quantile(shares, [0.05, 0.95])
    print(f"limit set on half of the groups: of the other half {np.mean(shares):.1%} refused ({low:.1%} to {high:.1%})")


def prepared(predictor: Predictor, slices: Iterable[Slice]) -> np.ndarray:
    """Make network inputs ``(n, h, w)``."""
    return np.stack([predictor.recipe(scan) for scan in slices])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("project", type=Path)
    for name in ("--strange", "--ct", "--usual"):
        parser.add_argument(name, type=Path, nargs="+", default=[])
    given = parser.parse_args()
    predictor = Predictor.open(given.bundle)
    file = given.project / "configs" / "config.yaml"
    config = read_config(
        file if file.is_file() else None, (f"data.protocol={predictor.bundle.info.provenance.protocol}",)
    )
    places = ProjectPaths.of(given.project, config)
    manifest = Manifest.read(places.data)
    held_out = assign_split(manifest, config).split.validation
    usual = look(predictor, np.asarray(decode_scans(manifest, predictor.recipe, places.cache)[held_out]))
    tell("validation scans (their own limit)", usual)
    tell_halves(usual, manifest.group_indices[held_out], max(float((usual.strangeness > 1).mean()), 1e-3))
    for place in given.strange:
        tell(f"strange: {place.name}", look(predictor, prepared(predictor, slices_of(place))), usual)
    for path in given.ct:
        tell(f"CT in three windows: {path.name}", look(predictor, prepared(predictor, windows_of(path))), usual)
    for place in given.usual:
        slices = list(slices_of(place))
        if slices:
            tell(f"usual: {place.name}", look(predictor, prepared(predictor, slices)))


if __name__ == "__main__":
    main()
