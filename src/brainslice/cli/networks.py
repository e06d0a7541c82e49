"""Commands for networks in other formats: ``import-keras``, ``export-tflite``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice import api
from brainslice.cli.console import print_bundle, print_line, print_note, progress_bars
from brainslice.cli.options import ConfigFile, Overrides, ProtocolName, Root, settings
from brainslice.paths import ProjectPaths


def import_keras(
    model: Annotated[Path, typer.Argument(help="A .keras or .h5 file of a whole model.")],
    class_names: Annotated[
        str, typer.Option("--class-names", metavar="A,B,…", help="Its classes in the order of its outputs.")
    ],
    pixels: Annotated[
        str, typer.Option("--pixels", help="The grey values it expects: 0..255, 0..1, -1..1, caffe or torch.")
    ] = "0..255",
    image_size: Annotated[
        int | None, typer.Option("--image-size", help="Rows and columns of its input, where the file leaves them open.")
    ] = None,
    crop: Annotated[
        bool, typer.Option("--crop", help="Crop and stretch scans as for brainslice's own networks.")
    ] = False,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    protocol: ProtocolName = None,
) -> None:
    """Import a Keras classifier as the project's bundle.

    The prepared set's validation scans calibrate it. The bundle before it is kept as bundle.previous.
    """
    chosen = settings(root, config, overrides, protocol)
    names = tuple(name.strip() for name in class_names.split(","))
    with progress_bars() as progress:
        made = api.import_keras(
            model, names, root, pixels=pixels, image_size=image_size, crop=crop, config=chosen, progress=progress
        )
    print_bundle(made.bundle, made.notes, "selected the temperature")
    print_note("where this accuracy is lower than expected, check the order of --class-names, --pixels and --crop")


def export_tflite(
    file: Annotated[Path, typer.Argument(help="The .tflite file to write; how to use it goes to a .json file beside.")],
    bundle: Annotated[Path | None, typer.Option("--bundle", help="The bundle; the project's own by default.")] = None,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    protocol: ProtocolName = None,
) -> None:
    """Export a bundle's network to TensorFlow Lite.

    Its output is checked against the bundle's probabilities.
    """
    folder = bundle or ProjectPaths.of(root, settings(root, config, overrides, protocol)).bundle
    difference = api.export_tflite(file, folder)
    print_line(f"TensorFlow Lite file: {file}; how to use it: {file.with_suffix('.json')}")
    print_line(f"probabilities differ from the bundle's by at most {difference:.1e} on drawn scans")
