"""Networks in other formats: import a Keras classifier, export to TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from brainslice.api.settings import TRAINING_LIBRARIES, AnyPath, Settings, open_project
from brainslice.lazy import require_extra
from brainslice.progress import Progress, silent

if TYPE_CHECKING:
    from brainslice.training import BundleResult


def import_keras(
    model: AnyPath,
    class_names: Sequence[str],
    root: AnyPath = ".",
    *,
    pixels: str = "0..255",
    image_size: int | None = None,
    crop: bool = False,
    config: Settings = None,
    progress: Progress = silent,
) -> BundleResult:
    """Import a classifier that Keras saved as the project's bundle ``models/bundle``.

    Validation scans of the prepared set calibrate it. Which scans trained it is not known, so that the bundle carries
    the warning ``imported``. An existing bundle is kept as ``models/bundle.previous``.

    Args:
        model: A ``.keras`` or ``.h5`` file of a whole model of Keras' own layers that ends in a dense layer.
        class_names: Its classes in the order of its outputs; of one sigmoid output, the class at 0 and that at 1.
        root: The project's folder, with a prepared set of these classes.
        pixels: The grey values it expects: ``0..255``, ``0..1``, ``-1..1``, or ``caffe`` or ``torch`` as in
            ``keras.applications``.
        image_size: Rows and columns of its input; None where the file fixes them.
        crop: Crop and stretch scans as for brainslice's own networks; otherwise whole pictures are used.
        config: The settings.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: The training libraries are not installed.
        ConfigError: The file holds no such classifier, or an option does not fit it.
        DatasetError: There is no prepared set.
        ParityError: The exported graph disagrees with the model.
    """
    require_extra("train", "importing a Keras file", *TRAINING_LIBRARIES)
    from brainslice.training import ImportOptions, import_network

    chosen, paths = open_project(root, config)
    options = ImportOptions(tuple(class_names), pixels, image_size, crop)
    return import_network(paths, chosen, Path(model), options, progress)


def export_tflite(path: AnyPath, bundle: AnyPath = "models/bundle") -> float:
    """Write the network of a bundle to a TensorFlow Lite file, and how to use it to a ``.json`` file beside.

    Args:
        path: The ``.tflite`` file.
        bundle: The bundle's folder.

    Returns:
        The largest difference of a probability from the bundle's, on drawn scans.

    Raises:
        MissingExtraError: The training libraries are not installed.
        BundleError: The bundle is damaged, or holds no Keras file.
        UsageError: The file does not end in ``.tflite``.
        ParityError: The file gives other probabilities; nothing is written.
    """
    require_extra("train", "the export to TensorFlow Lite", *TRAINING_LIBRARIES)
    from brainslice.training import export_tflite as export

    return export(Path(bundle), Path(path))
