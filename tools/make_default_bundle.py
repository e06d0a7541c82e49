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

from brainslice.bundle.model_card import CARD_FILE, updated_card
from brainslice.bundle.store import write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft
from brainslice.cli.options import settings
from brainslice.dataset.cache import decode_scans
from brainslice.dataset.manifest import Manifest
from brainslice.errors import BundleError
from brainslice.evaluation.half_precision_parity import measure_half_precision
from brainslice.evaluation.tuning_data import split_of
from brainslice.files import write_text
from brainslice.inference.default_bundle import DEFAULT_BUNDLE
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.inference.predictor import Predictor
from brainslice.models.export import to_float16
from brainslice.paths import ProjectPaths

MAX_BYTES = 30_000_000
TRAINING_FILE = "model.keras"
TEST_FILE = "summary.json"


def main(bundle: Path, project: Path, out: Path = DEFAULT_BUNDLE) -> None:
    """Write the bundle.

    Raises:
        BundleError: The files are too large, or the project's model was not evaluated.
    """
    whole = Predictor.open(bundle)
    places = ProjectPaths.of(project, settings(project, None, None))
    manifest = Manifest.read(places.data)
    split = split_of(whole.bundle, manifest)
    inputs = decode_scans(manifest, whole.recipe, places.cache)[split.validation]
    info = whole.bundle.info
    files = {name: whole.bundle.path(name) for name in info.files if name != TRAINING_FILE}
    for name, report in ((CARD_FILE, "model_card.md"), (TEST_FILE, "summary.json")):
        files[name] = places.reports / report
        if not files[name].is_file():
            msg = f"{files[name]}: is missing; run brainslice evaluate in {project} first"
            raise BundleError(msg)
    with tempfile.TemporaryDirectory() as folder:
        files[GRAPH_FILE] = Path(folder) / GRAPH_FILE
        to_float16(whole.bundle.path(GRAPH_FILE), files[GRAPH_FILE])
        parity = measure_half_precision(whole, OnnxEngine(files[GRAPH_FILE]), inputs)
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
    sys.stdout.write(
        f"{made.folder}: {size:,} bytes; n = {parity.n}: probabilities differ by at most {parity.probabilities:.2e}, "
        f"{parity.same_class:.2%} keep their class\n"
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
