"""What every test shares: shape checks at run time, and the real scans beside the project."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Before any import of TensorFlow: quiet, deterministic, and on the CPU.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Threads that wait in a loop would slow the other test process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

from projects import QUICK, Project, run_eagerly, settings_words

if TYPE_CHECKING:
    from brainslice.config import Config
    from brainslice.paths import ProjectPaths

# Only modules that annotate arrays are checked: the checks take time, and mypy knows the other types.
SOURCE = Path(__file__).resolve().parents[1] / "src"
SHAPED = [path for path in SOURCE.rglob("*.py") if "brainslice.array" in path.read_text(encoding="utf-8")]
install_import_hook([".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SHAPED], "beartype.beartype")

# The same examples every time: a build that turns red has a change to blame. Others: pytest --hypothesis-seed=N.
settings.register_profile(
    "house", deadline=None, max_examples=50, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option ``--slow``."""
    parser.addoption("--slow", action="store_true", help="run the tests marked slow_only too")


def pytest_configure() -> None:
    """Give each of several test processes a core of its own, so that the runtimes in it start one thread."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run files with slow tests first, which keeps two workers busy to the end; skip the tests marked slow_only."""
    slow = {item.path for item in items if "slow" in item.keywords}
    items.sort(key=lambda item: item.path not in slow)
    if not config.getoption("--slow"):
        for item in items:
            if "slow_only" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes long; ./test.sh --slow runs it"))


@pytest.fixture(scope="session")
def real_scans() -> Path:
    """The folder of real scans that lies beside the project on the machines that have it."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("needs the real scans of ../shared/data, which are not here")
    return folder


@pytest.fixture(scope="session")
def errors_of() -> Callable[[Path], list[str]]:
    """Ask an independent judge of DICOM objects what is wrong with one."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("needs dciodvfy of dicom3tools, which is not here")

    def judge(path: Path) -> list[str]:
        done = subprocess.run([program, "-new", path], capture_output=True, text=True, check=False, errors="replace")
        return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]

    return judge


@pytest.fixture(scope="session")
def imagenet_weights() -> Path:
    """Real pretrained weights of EfficientNetV2-B0."""
    path = SHARED / "weights" / "efficientnetv2-b0_notop.weights.h5"
    if not path.is_file():
        pytest.skip("needs the pretrained weights of ../shared/weights, which are not here")
    return path


@pytest.fixture
def eager_functions(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run TensorFlow's functions without tracing them, which takes most of a small training; not with ``--slow``."""
    traced = request.config.getoption("--slow") or "traced" in request.keywords
    with run_eagerly(traced=traced):
        yield


@pytest.fixture
def blank_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the files of figures empty, for tests that do not look at them; not with ``--slow``."""
    from stand_in import draw_blank_figures

    if not request.config.getoption("--slow"):
        draw_blank_figures(monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def all_trees(pytestconfig: pytest.Config) -> Iterator[int]:
    """Fit baselines with a tenth of all trees, which take most of a small evaluation; not with ``--slow``."""
    from brainslice.metrics import baseline

    number = baseline.TREES
    with pytest.MonkeyPatch.context() as patched:
        if not pytestconfig.getoption("--slow"):
            patched.setattr(baseline, "TREES", number // 10)
        yield number


@pytest.fixture(scope="session")
def phantom_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small drawn data set."""
    from brainslice.phantom import write_phantoms

    folder = tmp_path_factory.mktemp("source") / "phantoms"
    write_phantoms(folder, patients_per_class=10, slices=3, seed=5)
    return folder


def _without_official_tail(train_one: Callable[..., None]) -> Callable[..., None]:
    """Train the head alone, eagerly, under the official protocol: the clean one trains the last blocks, traced."""

    def train(paths: ProjectPaths, config: Config, *, accept_leaks: bool) -> None:
        if config.data.protocol == "official":
            quick = config.train.quick.model_copy(update={"epochs": 0})
            config = config.model_copy(update={"train": config.train.model_copy(update={"quick": quick})})
        with run_eagerly(traced=config.data.protocol != "official"):
            train_one(paths, config, accept_leaks=accept_leaks)

    return train


@pytest.fixture(scope="session")
def phantom_project(
    tmp_path_factory: pytest.TempPathFactory, phantom_source: Path, pytestconfig: pytest.Config
) -> Project:
    """A project on which ``brainslice run`` has been called; with ``--slow`` both of its trainings are whole."""
    from brainslice.cli import training
    from brainslice.cli.main import main

    root = tmp_path_factory.mktemp("project")
    said = io.StringIO()
    words = ("run", "--source", str(phantom_source), "--project-root", str(root), "--weights", "shipped")
    with pytest.MonkeyPatch.context() as patched:
        if not pytestconfig.getoption("--slow"):
            patched.setattr(training, "train_one", _without_official_tail(training.train_one))
        with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
            main(*words, *settings_words(*QUICK))
    assert not ended.value.code, "the pipeline failed; its one line is in the captured stderr"
    return Project(root, phantom_source, said.getvalue())
