"""Make the bundle that ships from a trained one: no training file, weights in 16 bits, and what that changes.

Usage: python tools/make_default_bundle.py BUNDLE PROJECT [OUT]

PROJECT is the folder that BUNDLE was trained in. Its validation scans measure what the 16 bits change; the model card
and the summary that `brainslice evaluate` left in its reports go into the bundle. Nothing is fitted again. OUT is
src/brainslice/default_bundle by default.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import onnx

from brainslice.api import read_settings
from brainslice.bundle import CARD_FILE, GRAPH_FILE, BundleDraft, updated_card, write_bundle
from brainslice.dataset import Manifest, decode_scans
from brainslice.errors import BundleError
from brainslice.evaluation import measure_half_precision, split_of
from brainslice.files import write_text
from brainslice.inference import DEFAULT_BUNDLE, OnnxEngine, Predictor
from brainslice.models import to_float16
from brainslice.paths import ProjectPaths

MAX_BYTES = 30_000_000
TRAINING_SUFFIX = ".keras"
TEST_FILE = "summary.json"


def main(bundle: Path, project: Path, out: Path = DEFAULT_BUNDLE) -> None:
    """Write the bundle.

    Raises:
        BundleError: The files are too large, or the project's model was not evaluated.
    """
    whole = Predictor.open(bundle)
    places = ProjectPaths.of(project, read_settings(project))
    manifest = Manifest.read(places.data)
    split = split_of(whole.bundle, manifest)
    inputs = decode_scans(manifest, whole.recipe, places.cache)[split.validation]
    info = whole.bundle.info
    files = {name: whole.bundle.path(name) for name in info.files if not name.endswith(TRAINING_SUFFIX)}
    for name, report in ((CARD_FILE, "model_card.md"), (TEST_FILE, "summary.json")):
        files[name] = places.reports / report
        if not files[name].is_file():
            msg = f"{files[name]}: is missing; run brainslice evaluate in {project} first"
            raise BundleError(msg)
    with tempfile.TemporaryDirectory() as folder:
        files[GRAPH_FILE] = Path(folder) / GRAPH_FILE
        to_float16(whole.bundle.path(GRAPH_FILE), files[GRAPH_FILE])
        arrays = onnx.load(whole.bundle.path(GRAPH_FILE)).graph.initializer
        # Nothing to compare where the weights were rounded before.
        rounded = any(array.data_type == onnx.TensorProto.FLOAT16 for array in arrays)
        parity = None if rounded else measure_half_precision(whole, OnnxEngine(files[GRAPH_FILE]), inputs)
        fields = {name: getattr(info, name) for name in BundleDraft.model_fields}
        draft = BundleDraft(**fields | {"half_precision": parity})
        card = files[CARD_FILE].read_text(encoding="utf-8")
        files[CARD_FILE] = Path(folder) / CARD_FILE
        write_text(files[CARD_FILE], updated_card(card, info, draft))
        size = sum(path.stat().st_size for path in files.values())
        if size > MAX_BYTES:
            msg = f"{bundle}: the bundle that ships must have at most {MAX_BYTES:,} bytes, got {size:,}"
            raise BundleError(msg)
        made = write_bundle(out, draft, files)
    sys.stdout.write(f"{made.folder}: {size:,} bytes\n")
    if parity:
        sys.stdout.write(
            f"n = {parity.n}: probabilities differ by at most {parity.probabilities:.2e}, "
            f"{parity.same_class:.2%} keep their class\n"
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
