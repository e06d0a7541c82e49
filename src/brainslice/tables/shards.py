"""Prediction of an archive in shards, by processes of this machine or by Ray actors.

A shard is a part of ``predict --part``: scans whose paths have the same hash modulo the number of shards, with a table
and a journal of its own. So an interrupted or killed worker loses the rows of one batch at most. A table in a store is
written when its shard is finished, so there it loses one shard at most.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from brainslice.engine import ENGINES, ray_cluster, run_all
from brainslice.errors import UsageError, WorkerDiedError
from brainslice.files import full_disk_error
from brainslice.inference import Predictor
from brainslice.lazy import require_extra
from brainslice.lock import exclusive_lock
from brainslice.processes import Call, Send
from brainslice.progress import Progress, silent
from brainslice.remote import RemoteFile, ScanPath, locate
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
        if min(self.shards, self.workers, self.threads) < 1 or self.engine not in ENGINES:
            msg = (
                "shards, workers and threads must be at least 1 and the engine local or ray, got "
                f"{self.shards}, {self.workers}, {self.threads} and {self.engine!r}"
            )
            raise UsageError(msg)


class ShardWorker:
    """Predicts shards with one predictor."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        os.chdir(arguments["cwd"])
        self._output = locate(arguments["output"])
        self._shards = arguments["shards"]
        given = tuple(map(locate, arguments["given"]))
        self._scans = ListedScan(Path(arguments["list"])) if arguments["list"] else given
        self._names = CaseNames(bytes.fromhex(arguments["key"]) or None, given)
        self._predictor = Predictor.open(
            arguments["bundle"], threshold=arguments["threshold"], threads=arguments["threads"]
        )

    def predict(self, number: int, scans: Sequence[str]) -> tuple[int, list[int]]:
        """Predict a shard; return its number, and how many rows, refusals and rows of earlier runs it has."""
        part = ArchivePart(number, self._shards)
        listed = [locate(scan) for scan in scans]
        paths = listed if self._names.key is None else part.select(self._scans, anonymous=True)
        with _local_table(_table(self._output, number, self._shards)) as output:
            table = predict_tree(self._predictor, paths, output, TableOptions(names=self._names))
        return number, [table.rows, table.refused, table.kept]


def predict_shards(
    predictor: Predictor,
    paths: Iterable[ScanPath],
    output: ScanPath,
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
        paths: Files and folders, also of stores.
        output: ``.jsonl``, ``.csv`` or ``.parquet``; on a disk that all workers share, or in a store.
        options: How the work is divided.
        progress: Called with step, finished shards and all shards.
        overwrite: Whether to replace existing tables.

    Raises:
        UsageError: A folder holds no scans, a table has another format or rows of another bundle, threshold or naming,
            or there are pseudonyms and a list on standard input, or two scans with one pseudonym.
        MissingExtraError: pyarrow, Ray or the package of a store is missing.
        DownloadError: A store cannot be reached or does not allow it.
        WorkerDiedError: A worker died again; the other shards were finished.
        ResourceError: The disk is full.
    """
    if output.suffix.casefold() == ".parquet":
        require_extra("parquet", f"{output}: Parquet", "pyarrow")
    if options.engine == "ray":
        require_extra("ray", "the engine ray", "ray")
    with _folder_of_lists(output) as lists:
        search = _search_arguments(paths, options.names)
        if options.names.key is None:
            _write_lists(paths, lists, options.shards)
        if overwrite:
            _delete_tables(output, options.shards)
        found = _run(_arguments(predictor, lists, output, options) | search, options, progress)
    rows, refused, kept = (sum(counts) for counts in zip(*found.values(), strict=True))
    return TableSummary(rows, refused, kept, repaired=False)


def predict_listed(arguments: Mapping[str, Any], send: Send) -> None:
    """Predict some shards in a process that ``predict_shards`` started."""
    worker, lists = ShardWorker(arguments), Path(arguments["lists"])
    for number in arguments["numbers"]:
        send({"shard": worker.predict(number, _read_list(lists / str(number)))})


@contextmanager
def _folder_of_lists(output: ScanPath) -> Iterator[Path]:
    """Yield a folder for the lists of scans; beside a table of this machine, which is locked meanwhile."""
    if isinstance(output, RemoteFile):
        output.check_bucket()
        with tempfile.TemporaryDirectory(prefix="brainslice-") as folder:
            yield Path(folder) / "lists"
        return
    lists = output.with_name(f".{output.name}.shards")
    with exclusive_lock(output.with_name(f".{output.name}.shards.lock"), f"predicting {output.name}"):
        try:
            shutil.rmtree(lists, ignore_errors=True)
            yield lists
        finally:
            shutil.rmtree(lists, ignore_errors=True)


@contextmanager
def _local_table(output: ScanPath) -> Iterator[Path]:
    """Yield the path of a table, or of a local copy of one in a store, which is written back whole if it changed."""
    if isinstance(output, Path):
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="brainslice-") as folder:
        copy, before = Path(folder) / output.name, output.read_if_exists()
        if before is not None:
            copy.write_bytes(before)
        yield copy
        if (after := copy.read_bytes()) != before:
            output.write(after)


def _arguments(predictor: Predictor, lists: Path, output: ScanPath, options: ShardOptions) -> dict[str, Any]:
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
    with ray_cluster(options.workers * options.threads) as ray:
        from ray.util import ActorPool  # noqa: PLC0415 - an extra

        try:
            actor = ray.remote(num_cpus=options.threads, max_restarts=-1, max_task_retries=_RAY_RETRIES)(ShardWorker)
            pool = ActorPool([actor.remote(arguments) for _ in range(min(options.workers, options.shards))])
            # The lists are on this machine only.
            lists = Path(arguments["lists"])
            scans = ((number, _read_list(lists / str(number))) for number in range(1, options.shards + 1))
            for number, counts in pool.map_unordered(_predict_on_actor, scans):
                each(number, counts)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayActorError as error:
            msg = f"a Ray actor died more than {_RAY_RETRIES} times; run the same command again to resume"
            raise WorkerDiedError(msg) from error


def _predict_on_actor(actor: Any, shard: tuple[int, Sequence[str]]) -> Any:  # noqa: ANN401 - Ray's types
    return actor.predict.remote(*shard)


def _search_arguments(paths: Iterable[ScanPath], names: CaseNames) -> dict[str, Any]:
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


def _write_lists(paths: Iterable[ScanPath], folder: Path, shards: int) -> None:
    """Write the paths of each shard to a file, in their order, each ended by a zero byte."""
    folder.mkdir(parents=True)
    buffered: defaultdict[int, list[bytes]] = defaultdict(list)
    for count, path in enumerate(find_scans(paths), start=1):
        buffered[part_number(path, shards)].append(os.fsencode(str(path)) + b"\0")
        if count % _BUFFERED_PATHS == 0:
            _append(buffered, folder)
    _append(buffered, folder)


def _append(buffered: defaultdict[int, list[bytes]], folder: Path) -> None:
    for number, lines in buffered.items():
        with full_disk_error(folder / str(number)), (folder / str(number)).open("ab") as stream:
            stream.writelines(lines)
    buffered.clear()


def _read_list(path: Path) -> list[str]:
    content = path.read_bytes() if path.exists() else b""
    return [os.fsdecode(name) for name in content.split(b"\0")[:-1]]


def _table(output: ScanPath, number: int, shards: int) -> ScanPath:
    return output.with_name(ArchivePart(number, shards).table_name(output))


def _delete_tables(output: ScanPath, shards: int) -> None:
    for number in range(1, shards + 1):
        table = _table(output, number, shards)
        table.delete() if isinstance(table, RemoteFile) else delete_table(table)
