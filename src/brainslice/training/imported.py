"""Make bundles of classifiers that were trained elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from brainslice.config import Config
from brainslice.dataset import Manifest, assign_split, decode_scans
from brainslice.errors import ConfigError
from brainslice.labels import LabelSet
from brainslice.models import read_classifier
from brainslice.paths import ProjectPaths, writes_project
from brainslice.preprocessing import Recipe
from brainslice.progress import Progress, silent
from brainslice.training.bundle import BundleResult, make_bundle
from brainslice.training.lesions import TrainingImages
from brainslice.training.pipeline import content_digest
from brainslice.training.task import TrainingTask


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a classifier's file does not say.

    Attributes:
        class_names: Its classes in the order of its outputs; of one sigmoid output, the class at 0 and that at 1.
        pixels: The grey values it expects: ``0..255``, ``0..1``, ``-1..1``, ``caffe`` or ``torch``.
        size: Rows and columns of its input; None where the file fixes them.
        crop: Whether scans are cropped and stretched as for brainslice's own networks; else they are used whole, from
            their darkest to their brightest value.
    """

    class_names: tuple[str, ...]
    pixels: str = "0..255"
    size: int | None = None
    crop: bool = False


@writes_project("importing a network")
def import_network(
    paths: ProjectPaths, config: Config, file: Path, options: ImportOptions, progress: Progress = silent
) -> BundleResult:
    """Calibrate a classifier on a project's validation scans, and write its bundle to ``models/``.

    Raises:
        DatasetError: There is no prepared set, or it cannot be split.
        ConfigError: The file holds no classifier of the set's classes, or an option does not fit it.
        ParityError: The exported graph disagrees with the network; nothing is written.
        ResourceError: The disk is full; an older bundle is kept.
    """
    assignment = assign_split(Manifest.read(paths.data), config)
    manifest, split = assignment.manifest, assignment.split
    order = _output_order(manifest.labels, options.class_names)
    network = read_classifier(file, order, options.pixels, options.size)
    size = network.config.size
    recipe = Recipe(size) if options.crop else Recipe(size, crop=False, margin=0.0, low=0.0, high=100.0)
    task = TrainingTask(
        network=network,
        images=TrainingImages.plain(
            decode_scans(manifest, recipe, paths.cache, progress), manifest.label_indices, split.train
        ),
        split=split,
        config=config,
        content=content_digest(manifest, recipe),
        cache=paths.cache,
        workspace=paths.workspace,
        progress=progress,
        imported=True,
    )
    return make_bundle(task, manifest, recipe, paths)


def _output_order(labels: LabelSet, class_names: tuple[str, ...]) -> list[int]:
    """Return the output of each class of the prepared set."""
    found = [labels.from_folder(name) for name in class_names]
    if sorted(map(str, found)) != sorted(labels.names):
        msg = (
            f"class names must be those of the prepared set, {', '.join(labels.names)}, in the order of the model's "
            f"outputs, got {', '.join(class_names)}"
        )
        raise ConfigError(msg)
    return [found.index(name) for name in labels.names]
