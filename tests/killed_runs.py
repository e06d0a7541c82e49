"""Run commands one after the other in forked processes, each killed by SIGKILL at a chosen write.

Called as a program: its argument is a list of ``Run`` as JSON, and it prints the exit statuses as JSON. The libraries
are imported once, before the processes fork.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import brainslice
from brainslice.processes import Send

TRAIN = ("train.quick.head_epochs=2", "train.quick.epochs=2", "train.batch_size=4", "log.tensorboard=false")
CROSSVAL = ("train.quick.head_epochs=1", "train.quick.epochs=1", "train.batch_size=8", "log.tensorboard=false")
ADAPT = (
    *("adapt.folds=3", "adapt.steps=2", "adapt.checks=1", "adapt.views=1", "adapt.replay=12", "adapt.batch_size=8"),
    "adapt.learning_curve=false",
)
KILLED, FINISHED = -signal.SIGKILL, 0


@dataclass(frozen=True)
class Run:
    """One run of a command in a project.

    Attributes:
        command: ``prepare``, ``train``, ``crossval`` or ``adapt``.
        root: The project's folder.
        event: The kind of call at which it is killed: ``written`` (an archive of arrays, half of it), ``fsync``,
            ``rename`` (before) or ``renamed`` (after); ``any`` for each of the last three; empty to let it finish.
        name: A part of the path of what is written or renamed.
        number: At which call of this kind.
        settings: Further settings, each as of ``--set``.
    """

    command: str
    root: str
    event: str = ""
    name: str = ""
    number: int = 1
    settings: Sequence[str] = ()


def run_all(runs: Sequence[Run]) -> list[int]:
    """Run the commands in a process of their own, and return their exit statuses; the negative signal if killed."""
    paths = (Path(brainslice.__file__).parents[1], Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    words = [sys.executable, __file__, json.dumps([asdict(each) for each in runs])]
    done = subprocess.run(words, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    statuses: list[int] = json.loads(done.stdout.splitlines()[-1])
    return statuses


def contents(root: Path, *, without: Sequence[str] = ()) -> dict[str, bytes]:
    """Return every file below a folder but those with a name in ``without``; links as what they point to."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in without
    }


class _Killer:
    """Wraps calls that write, and kills this process at one of them."""

    def __init__(self, run: Run) -> None:
        self.run, self.left = run, run.number

    def arm(self) -> None:
        import numpy as np

        sync, save = os.fsync, np.savez
        renames = {name: getattr(os, name) for name in ("rename", "replace")}

        def fsync(descriptor: int) -> None:
            self.hit("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink()))
            sync(descriptor)

        def savez(stream: Any, **arrays: Any) -> None:  # noqa: ANN401 - as of numpy
            save(stream, **arrays)
            stream.flush()
            size = os.fstat(stream.fileno()).st_size
            self.hit("written", stream.name, lambda: os.truncate(stream.name, size // 2))

        def renamed(name: str) -> Callable[..., None]:
            def call(source: Any, target: Any, **options: Any) -> None:  # noqa: ANN401 - as of os
                self.hit("rename", f"{source} {target}")
                renames[name](source, target, **options)
                self.hit("renamed", f"{source} {target}")

            return call

        os.fsync, np.savez = fsync, savez
        for name in renames:
            setattr(os, name, renamed(name))

    def hit(self, event: str, path: str, before: Callable[[], object] = lambda: None) -> None:
        if (event == self.run.event or (self.run.event == "any" and event != "written")) and self.run.name in path:
            self.left -= 1
            if self.left == 0:
                before()
                os.kill(os.getpid(), signal.SIGKILL)


def train_and_be_killed(arguments: Mapping[str, Any], send: Send) -> object:
    """Call a function with a small network in a worker that is killed at the first of the kills that are left.

    Args:
        arguments: ``call``, the arguments of ``small_training.call_with_small_network``; and ``kills``, a folder with
            a file for each kill, ``event name number`` as of ``Run``, or ``message STEP number``. Messages are added
            to its ``messages.txt``, one line for each, and one for each start.
        send: Sends a message.
    """
    folder = Path(arguments["kills"])
    killer, log = None, folder / "messages.txt"
    if waiting := sorted(folder.glob("[0-9]*")):
        event, name, number = waiting[0].read_text(encoding="utf-8").split("|")
        waiting[0].unlink()
        killer = _Killer(Run("crossval", "", event, name, int(number)))
        killer.arm()

    def note(message: Mapping[str, Any]) -> None:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([os.getpid(), arguments["fold"], *message.get("progress", ())]) + "\n")
        if killer is not None and "progress" in message:
            killer.hit("message", message["progress"][0])
        send(message)

    from small_training import call_with_small_network

    return call_with_small_network(arguments["call"], note)


def _perform(run: Run) -> None:
    from brainslice.dataset.preparation import PreparationOptions, prepare_dataset
    from brainslice.paths import ProjectPaths
    from stand_in import FOLDS, config

    root = Path(run.root)
    if run.command == "prepare":
        prepare_dataset(root / "source", root, PreparationOptions(folds=FOLDS, copy=True))
        return
    from brainslice.training import pipeline
    from brainslice.training.adaptation import data
    from brainslice.training.adaptation.pipeline import adapt
    from brainslice.training.cross_validation import cross_validate
    from small_training import SMALL, keras_frozen_part, rebuilt_network, small_network

    pipeline.build_network, data.build_network = small_network, rebuilt_network
    data.fast_frozen_part = lambda network, *_: keras_frozen_part(network)
    if run.command == "crossval":
        cross_validate(root, config(*SMALL, *CROSSVAL))
        return
    settings = config(*SMALL, *TRAIN, *ADAPT, *run.settings)
    paths = ProjectPaths.of(root, settings)
    if run.command == "train":
        pipeline.train(paths, settings)
    else:
        adapt(paths, settings, root / "elsewhere", paths.bundle, accept_forgetting=True)


def _main(runs: Sequence[Run]) -> list[int]:
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "Agg"}
    if any(run.command != "prepare" for run in runs):
        import small_training  # noqa: F401 - imported before the processes fork
        from brainslice.training import cross_validation, pipeline  # noqa: F401 - likewise
        from brainslice.training.adaptation import pipeline as adaptation  # noqa: F401 - likewise
    statuses = []
    for run in runs:
        child = os.fork()
        if child == 0:
            if run.event:
                _Killer(run).arm()
            status = 1
            try:
                _perform(run)
                status = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
                raise
            finally:
                sys.stderr.flush()
                os._exit(status)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return statuses


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_main([Run(**each) for each in json.loads(sys.argv[1])])) + "\n")
