"""Functions called in processes of their own: on this machine, or as tasks of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, no_type_check

from brainslice.errors import ResourceError, UsageError, WorkerDiedError
from brainslice.lazy import require_extra
from brainslice.processes import Call, Listener, ProcessGroup, call_function, result_of

ENGINES: Final = ("local", "ray")
"""Where processes run: on this machine, or as tasks of a Ray cluster."""

_JOIN_SECONDS: Final = 10


def run_all(
    calls: Sequence[Call], workers: int, listen: Callable[[Call, Mapping[str, Any]], None], engine: str = "local"
) -> list[Any]:
    """Call functions, each in a process of its own, some at a time.

    Args:
        calls: The functions and their arguments.
        workers: The number of processes at a time.
        listen: Receives each message with its call, one at a time.
        engine: One of ``ENGINES``.

    Returns:
        The results, in order.

    Raises:
        UsageError: There is no such engine, or Ray is given no worker.
        BrainsliceError: A function raised it, or its process died; the others were finished before.
    """
    lock = threading.Lock()

    def run(call: Call) -> Any:  # noqa: ANN401 - what the function returns
        def each(message: Mapping[str, Any]) -> bool:
            with lock:
                listen(call, message)
            return True

        return group.run(call, each)

    if not workers and engine != "local":
        msg = f"the engine {engine} needs at least one worker; give --workers N"
        raise UsageError(msg)
    if not calls:
        return []
    # The group is closed first, so that an interruption does not wait for the processes.
    with ThreadPoolExecutor(workers) as pool, open_group(engine, workers) as group:
        futures = [pool.submit(run, call) for call in calls]
        try:
            failed = [error for future in futures if (error := future.exception()) is not None]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        if failed:
            raise failed[0]
        return [future.result() for future in futures]


@contextlib.contextmanager
def open_group(engine: str, workers: int) -> Iterator[ProcessGroup]:
    """Open a group of processes on an engine, and kill those that run at the end of the block.

    Args:
        engine: One of ``ENGINES``.
        workers: The number of processes at a time that a Ray started for this block has processors for.

    Raises:
        UsageError: There is no such engine.
        MissingExtraError: Ray is missing.
    """
    if engine not in ENGINES:
        msg = f"the engine must be {' or '.join(ENGINES)}, got {engine!r}"
        raise UsageError(msg)
    if engine == "local":
        with contextlib.closing(ProcessGroup()) as group:
            yield group
        return
    with ray_cluster(workers) as ray, contextlib.closing(_RayTasks(ray)) as group:
        yield group


@contextlib.contextmanager
def ray_cluster(processors: int) -> Iterator[Any]:
    """Join the Ray cluster of ``RAY_ADDRESS``, or start Ray on this machine for the block; yield the module.

    Args:
        processors: The number of processors of a Ray that is started here.

    Raises:
        MissingExtraError: Ray is missing.
        UsageError: The cluster cannot be joined.
        ResourceError: Ray cannot be started.
    """
    require_extra("ray", "the engine ray", "ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # noqa: PLC0415 - an extra

    started = not ray.is_initialized()
    if started:
        address = os.environ.get("RAY_ADDRESS", "")
        here = {"address": "local", "num_cpus": processors, "include_dashboard": False}
        try:
            if ":" in address and "://" not in address:
                # Ray itself would try for minutes.
                host, port = address.rsplit(":", 1)
                socket.create_connection((host, int(port)), _JOIN_SECONDS).close()
            ray.init(log_to_driver=False, **({} if address else here))
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            if address:
                msg = f"RAY_ADDRESS={address}: the cluster cannot be joined ({reason}); start it, or unset RAY_ADDRESS"
                raise UsageError(msg) from error
            msg = f"Ray cannot be started on this machine ({reason}); use --engine local, or try again"
            raise ResourceError(msg) from error
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()


class _RayTasks(ProcessGroup):
    """A group of Ray tasks, each in a worker process that ends with it; so no memory is kept for the next."""

    def __init__(self, ray: Any) -> None:  # noqa: ANN401 - the module, an extra
        super().__init__()
        self._ray = ray
        self._tasks: set[Any] = set()
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        # A lost worker is an error here, so that both engines start it once more.
        options = {"num_returns": "streaming", "max_calls": 1, "max_retries": 0, "num_cpus": 1, "num_gpus": gpus}
        self._task = ray.remote(**options)(_call_on_ray)

    def close(self) -> None:
        self.closed = True
        for task in tuple(self._tasks):
            self._ray.cancel(task, force=True)

    def _run_once(self, call: Call, listen: Listener) -> Any:  # noqa: ANN401 - what the function returns
        # Threads and kernels of TensorFlow change the last digits.
        variables = {name: value for name, value in os.environ.items() if name.startswith("TF_")}
        task = self._task.remote(call.function, call.arguments, str(Path.cwd()), variables)
        self._tasks.add(task)
        try:
            if self.closed:
                self._ray.cancel(task, force=True)
            return result_of((self._ray.get(message) for message in task), listen)
        except self._ray.exceptions.RayError as error:
            last = str(error).strip().split("\n")[-1]
            msg = f"{call.name}: its Ray task ended without a result: {last}; run the same command again to resume"
            raise WorkerDiedError(msg) from error
        finally:
            self._ray.cancel(task, force=True)
            self._tasks.discard(task)


@no_type_check  # Ray asks for a generator function, and checks of annotations wrap it
def _call_on_ray(
    name: str, arguments: Mapping[str, Any], folder: str, variables: Mapping[str, str]
) -> Iterator[Mapping[str, Any]]:
    """Yield the messages of a function that runs in a thread, in the caller's folder."""
    os.chdir(folder)
    os.environ.update(variables)
    messages: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(call_function, name, arguments, messages.put)
        done.add_done_callback(lambda _: messages.put(None))
        while (message := messages.get()) is not None:
            yield message
        done.result()
