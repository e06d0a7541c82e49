"""Make a bundle whose graph sees scans at a second size, from trained ones, without training again.

Usage: python tools/add_second_size.py BUNDLE PROJECT [SIZE | SECOND]

BUNDLE has the pyramid head and one size, PROJECT is a prepared project of the same scans. The graph also sees each scan
at SIZE pixels (288 by default), or by the network of the bundle SECOND, trained on the same split at its larger size;
its weights are rounded to 16 bits, as those of the bundle that ships, so that equal ones are stored once. Temperature
and prediction sets are fitted again on PROJECT's validation scans, operating points are removed, features and their
detector stay. `brainslice threshold --save`, `evaluate` and tools/make_default_bundle.py come next.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from brainslice.api import read_settings
from brainslice.bundle import CARD_FILE, GRAPH_FILE, BundleDraft, open_bundle, render_model_card, write_bundle
from brainslice.dataset import Manifest, decode_scans
from brainslice.decision import HEAD_FILE, LinearHead
from brainslice.errors import BundleError
from brainslice.evaluation import split_of
from brainslice.files import write_text
from brainslice.inference import OnnxEngine, Predictor
from brainslice.models import add_second_size, to_float16
from brainslice.paths import ProjectPaths
from brainslice.preprocessing import Recipe
from brainslice.training import calibrate, fit_prediction_sets, run_engine, validation_of

MADE_LATER = {"summary.json", "operating_curve.json"}


def main(bundle: Path, project: Path, second: str = "288") -> None:
    """Write ``PROJECT/models/bundle``.

    Raises:
        BundleError: The second bundle is of another split.
    """
    old = Predictor.open(bundle)
    config = read_settings(project)
    places = ProjectPaths.of(project, config)
    manifest = Manifest.read(places.data)
    rows = split_of(old.bundle, manifest).validation
    inputs = decode_scans(manifest, old.recipe, places.cache)[rows]
    labels, groups = manifest.label_indices[rows], manifest.group_indices[rows]
    info, healthy = old.bundle.info, old.bundle.labels.healthy_index
    other = None if second.isdigit() else open_bundle(Path(second))
    if other and other.info.provenance.split_digest != info.provenance.split_digest:
        msg = f"{second}: must be trained on the same split as {bundle}"
        raise BundleError(msg)
    size = int(second) if other is None else int(Recipe.from_json(other.info.recipe).size)
    with tempfile.TemporaryDirectory() as folder:
        files = {name: old.bundle.path(name) for name in info.files if name not in MADE_LATER}
        for name in (GRAPH_FILE, CARD_FILE):
            files[name] = Path(folder) / name
        network = None
        if other:
            network = Path(folder) / "second.onnx"
            to_float16(other.path(GRAPH_FILE), network)
        add_second_size(old.bundle.path(GRAPH_FILE), files[GRAPH_FILE], size, healthy, network)
        logits = run_engine(OnnxEngine(files[GRAPH_FILE]), inputs, lambda *_: None, "").logits
        temperature, _ = calibrate(logits, labels, config.calibration)
        sets, _ = fit_prediction_sets(logits, labels, groups, temperature, info.labels.names, config.decision)
        fields = {name: getattr(info, name) for name in BundleDraft.model_fields}
        fields |= {"temperature": temperature.value, "conformal": sets, "operating_points": (), "half_precision": None}
        # Older descriptions lack the share.
        fields["contralateral"] = LinearHead.read(old.bundle.path(HEAD_FILE)).contralateral
        fields |= {"second_size": size, "second_network": other and other.info.provenance.weights_digest}
        fields["validation"] = validation_of(logits, labels, temperature, config.calibration.bins)
        draft = BundleDraft(**fields)
        write_text(files[CARD_FILE], render_model_card(draft))
        made = write_bundle(places.bundle, draft, files)
    sys.stdout.write(f"{made.folder}: temperature {temperature.value:.3f}, {fields['validation']}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
