"""Prediction of an archive in shards, by processes of this machine or by Ray actors.

A shard is a part of ``predict --part``: scans whose paths have the same hash modulo the number of shards, with a table
and a journal of its own. So an interrupted or killed worker loses the rows of one batch at most.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from brainslice.errors import UsageError, WorkerDiedError
from brainslice.files import full_disk_error
from brainslice.inference import Predictor
from brainslice.lazy import require_extra
from brainslice.lock import exclusive_lock
from brainslice.processes import Call, Send, run_all
from brainslice.progress import Progress, silent
from brainslice.tables.case_names import CaseNames
from brainslice.tables.scan_listing import ArchivePart, ListedScan, find_scans, list_scans, part_number
from brainslice.tables.table import TableOptions, TableSummary, delete_table, predict_tree

_BUFFERED_PATHS: Final = 200_000
_RAY_RETRIES: Final = 3


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """How the work is divided, and how rows name scans.

    Attributes:
        shards: The number of shards, which an archive keeps from run to run.
        workers: The number of processes or actors.
        threads: The number of threads of each.
        engine: ``local`` for processes of this machine, ``ray`` for actors of a Ray cluster.
        names: How rows name scans. With pseudonyms, each worker searches the archive for each of its shards, and no
            file holds paths.
    """

    shards: int
    workers: int = 1
    threads: int = 1
    engine: str = "local"
    names: CaseNames = field(default_factory=CaseNames)

    def __post_init__(self) -> None:
        if min(self.shards, self.workers, self.threads) < 1 or self.engine not in {"local", "ray"}:
            msg = (
                "shards, workers and threads must be at least 1 and the engine local or ray, got "
                f"{self.shards}, {self.workers}, {self.threads} and {self.engine!r}"
            )
            raise UsageError(msg)


class ShardWorker:
    """Predicts shards with one predictor."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        os.chdir(arguments["cwd"])
        self._lists, self._output = Path(arguments["lists"]), Path(arguments["output"])
        self._shards = arguments["shards"]
        given = tuple(map(Path, arguments["given"]))
        self._scans = ListedScan(Path(arguments["list"])) if arguments["list"] else given
        self._names = CaseNames(bytes.fromhex(arguments["key"]) or None, given)
        self._predictor = Predictor.open(
            arguments["bundle"], threshold=arguments["threshold"], threads=arguments["threads"]
        )

    def predict(self, number: int) -> tuple[int, list[int]]:
        """Predict a shard; return its number, and how many rows, refusals and rows of earlier runs it has."""
        part = ArchivePart(number, self._shards)
        listed = self._lists / str(number)
        paths = _read_list(listed) if self._names.key is None else part.select(self._scans, anonymous=True)
        table = predict_tree(self._predictor, paths, part.table(self._output), TableOptions(names=self._names))
        return number, [table.rows, table.refused, table.kept]


def predict_shards(
    predictor: Predictor,
    paths: Iterable[Path],
    output: Path,
    options: ShardOptions,
    progress: Progress = silent,
    *,
    overwrite: bool = False,
) -> TableSummary:
    """Predict every scan of an archive in shards, and write a table ``OUTPUT-I-of-N`` for each.

    The tables have equal bytes however many workers there are. A later run with the same tables keeps their rows and
    predicts the scans without a row. A worker that dies is replaced; its finished batches are kept.

    Args:
        predictor: Its bundle and threshold are used; each worker opens the bundle itself.
        paths: Files and folders.
        output: ``.jsonl``, ``.csv`` or ``.parquet``; on a disk that all workers share.
        options: How the work is divided.
        progress: Called with step, finished shards and all shards.
        overwrite: Whether to replace existing tables.

    Raises:
        UsageError: A folder holds no scans, a table has another format or rows of another bundle, threshold or naming,
            or there are pseudonyms and a list on standard input, or two scans with one pseudonym.
        MissingExtraError: pyarrow or Ray is missing.
        WorkerDiedError: A worker died again; the other shards were finished.
        ResourceError: The disk is full.
    """
    if output.suffix.casefold() == ".parquet":
        require_extra("parquet", f"{output}: Parquet", "pyarrow")
    if options.engine == "ray":
        require_extra("ray", "the engine ray", "ray")
    lists = output.with_name(f".{output.name}.shards")
    with exclusive_lock(output.with_name(f".{output.name}.shards.lock"), f"predicting {output.name}"):
        try:
            shutil.rmtree(lists, ignore_errors=True)
            search = _search_arguments(paths, options.names)
            if options.names.key is None:
                _write_lists(paths, lists, options.shards)
            if overwrite:
                _delete_tables(output, options.shards)
            found = _run(_arguments(predictor, lists, output, options) | search, options, progress)
        finally:
            shutil.rmtree(lists, ignore_errors=True)
    rows, refused, kept = (sum(counts) for counts in zip(*found.values(), strict=True))
    return TableSummary(rows, refused, kept, repaired=False)


def predict_listed(arguments: Mapping[str, Any], send: Send) -> None:
    """Predict some shards in a process that ``predict_shards`` started."""
    worker = ShardWorker(arguments)
    for number in arguments["numbers"]:
        send({"shard": worker.predict(number)})


def _arguments(predictor: Predictor, lists: Path, output: Path, options: ShardOptions) -> dict[str, Any]:
    return {
        "cwd": str(Path.cwd()),
        "lists": str(lists),
        "output": str(output),
        "shards": options.shards,
        "bundle": str(predictor.bundle.folder),
        "threshold": predictor.threshold,
        "threads": options.threads,
    }


_Each: TypeAlias = Callable[[int, Sequence[int]], None]


def _run(arguments: Mapping[str, Any], options: ShardOptions, progress: Progress) -> dict[int, Sequence[int]]:
    found: dict[int, Sequence[int]] = {}

    def each(number: int, counts: Sequence[int]) -> None:
        # A worker that was started again reports its finished shards again.
        found.setdefault(number, counts)
        progress("shards", len(found), options.shards)

    (_run_on_ray if options.engine == "ray" else _run_here)(arguments, options, each)
    return found


def _run_here(arguments: Mapping[str, Any], options: ShardOptions, each: _Each) -> None:
    numbers = range(1, options.shards + 1)
    shares = [list(numbers[start :: options.workers]) for start in range(min(options.workers, options.shards))]
    calls = [
        Call(f"{__name__}:{predict_listed.__name__}", {**arguments, "numbers": share}, f"worker {place}")
        for place, share in enumerate(shares, start=1)
    ]
    run_all(calls, options.workers, lambda _, message: each(*message["shard"]))


def _run_on_ray(arguments: Mapping[str, Any], options: ShardOptions, each: _Each) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # noqa: PLC0415 - an extra
    from ray.util import ActorPool  # noqa: PLC0415 - an extra

    started = not ray.is_initialized()
    if started:
        here: dict[str, Any] = {"num_cpus": options.workers * options.threads, "include_dashboard": False}
        ray.init(log_to_driver=False, **({} if os.environ.get("RAY_ADDRESS") else here))
    try:
        actor = ray.remote(num_cpus=options.threads, max_restarts=-1, max_task_retries=_RAY_RETRIES)(ShardWorker)
        pool = ActorPool([actor.remote(arguments) for _ in range(min(options.workers, options.shards))])
        numbers = range(1, options.shards + 1)
        for number, counts in pool.map_unordered(_predict_on_actor, numbers):
            each(number, counts)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayActorError as error:
        msg = f"a Ray actor died more than {_RAY_RETRIES} times; run the same command again to resume"
        raise WorkerDiedError(msg) from error
    finally:
        if started:
            ray.shutdown()


def _predict_on_actor(actor: Any, number: int) -> Any:  # noqa: ANN401 - a handle, and a reference to the result
    return actor.predict.remote(number)


def _search_arguments(paths: Iterable[Path], names: CaseNames) -> dict[str, Any]:
    """Check the pseudonyms of all scans, and return what workers need to find them."""
    if names.key is None:
        return {"key": "", "given": [], "list": ""}
    if isinstance(paths, Iterator):
        msg = "pseudonyms need folders, files or the file of a --list, which are searched again for each shard"
        raise UsageError(msg)
    for _ in names.unique(list_scans(paths, names.skipped_files())):
        pass
    listed = str(paths.path) if isinstance(paths, ListedScan) else ""
    return {"key": names.key.hex(), "given": [str(path) for path in names.given], "list": listed}


def _write_lists(paths: Iterable[Path], folder: Path, shards: int) -> None:
    """Write the paths of each shard to a file, in their order, each ended by a zero byte."""
    folder.mkdir(parents=True)
    buffered: defaultdict[int, list[bytes]] = defaultdict(list)
    for count, path in enumerate(find_scans(paths), start=1):
        buffered[part_number(path, shards)].append(os.fsencode(path) + b"\0")
        if count % _BUFFERED_PATHS == 0:
            _append(buffered, folder)
    _append(buffered, folder)


def _append(buffered: defaultdict[int, list[bytes]], folder: Path) -> None:
    for number, lines in buffered.items():
        with full_disk_error(folder / str(number)), (folder / str(number)).open("ab") as stream:
            stream.writelines(lines)
    buffered.clear()


def _read_list(path: Path) -> list[Path]:
    content = path.read_bytes() if path.exists() else b""
    return [Path(os.fsdecode(name)) for name in content.split(b"\0")[:-1]]


def _delete_tables(output: Path, shards: int) -> None:
    for number in range(1, shards + 1):
        delete_table(ArchivePart(number, shards).table(output))
