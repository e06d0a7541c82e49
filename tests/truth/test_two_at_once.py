"""Two commands started at the same moment in one project, fifty times: one at a time writes, and nothing breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import brainslice
from brainslice.bundle.store import open_bundle
from brainslice.dataset.manifest import Manifest
from brainslice.paths import LOCK_FILE, ProjectPaths
from brainslice.phantom import write_external_site
from killed_runs import ADAPT, CROSSVAL
from projects import settings_words
from stand_in import SETTINGS, config, prepare_project, write_bundle_for

PROGRAM = Path(__file__).parents[1] / "two_at_once.py"
TIMES = 50

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks processes")


@pytest.mark.slow_only
def test_two_commands_at_once_fifty_times(tmp_path: Path) -> None:
    from small_training import SMALL

    root = prepare_project(tmp_path / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    write_external_site(root / "elsewhere", heads_per_kind=9, slices=1, seed=3)
    here = ("--project-root", str(root), *settings_words(*SETTINGS, *SMALL, *CROSSVAL, *ADAPT))
    train, adapt = ("train", *here), ("adapt", "--data", str(root / "elsewhere"), "--accept-forgetting", *here)
    prepare, evaluate = ("prepare", str(root / "source"), "--copy", *here), ("evaluate", "--gradcam", "0", *here)
    threshold, report = ("threshold", "--save", *here), ("report", str(root))
    # The bundle of the first training is what the others work with.
    pairs = [(train, train), (train, prepare), (adapt, adapt), (adapt, train)]
    others = [(prepare, prepare), (evaluate, threshold), (threshold, prepare), (evaluate, evaluate), (report, report)]
    pairs += [others[number % len(others)] for number in range(TIMES - len(pairs))]
    paths = (Path(brainslice.__file__).parents[1], PROGRAM.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    words = [sys.executable, str(PROGRAM), str(tmp_path), json.dumps(pairs)]
    done = subprocess.run(words, check=True, env=environment, capture_output=True, text=True)
    codes: list[list[int]] = json.loads(done.stdout.splitlines()[-1])
    assert len(codes) == TIMES
    for number, found in enumerate(codes):
        said = [(tmp_path / f"{number:02d}{side}.txt").read_text(encoding="utf-8") for side in "ab"]
        # Both end well where one ended before the other began, and where nothing is locked.
        assert sorted(found) in ([0, 0], [0, 2]), (pairs[number], said)
        for code, text in zip(found, said, strict=True):
            assert code == 0 or ("process " in text and "wait until it ends" in text), text
            assert "Traceback" not in text
    counts = Counter(tuple(sorted(each)) for each in codes)
    sys.stdout.write(f"{counts}\n")
    assert counts[0, 2] >= TIMES // 2
    assert len(Manifest.read(root / "data").records) > 0
    assert open_bundle(root / "models" / "bundle").info.operating_points
    assert not [path for path in root.rglob(".*") if path.name != LOCK_FILE], "leftovers"
    assert not (root / LOCK_FILE).exists()
