"""Lock files that allow one process at a time."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from brainslice.errors import UsageError

_WAIT_SECONDS = 0.2

# Windows locks byte ranges, and locked bytes cannot be read: lock one byte far behind the text.
_LOCKED_BYTE = 1 << 20


@contextlib.contextmanager
def exclusive_lock(path: Path, doing: str, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock file during the block; the system releases it if the process is killed.

    Args:
        path: The lock file.
        doing: What the holder does, for the message.
        wait: Wait until another process releases the lock.

    Raises:
        UsageError: Another process holds the lock, without ``wait``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = _acquire(path, doing, wait=wait)
    try:
        yield
    finally:
        # Deleted before it is released; Windows cannot delete an open file.
        if sys.platform == "win32":
            stream.close()
        with contextlib.suppress(OSError):
            path.unlink()
        stream.close()


def _acquire(path: Path, doing: str, *, wait: bool) -> IO[str]:
    while True:
        stream = path.open("a+", encoding="utf-8")
        if not _try_lock(stream):
            if wait:
                stream.close()
                time.sleep(_WAIT_SECONDS)
                continue
            stream.seek(0)
            holder = " ".join(stream.read().split()) or "another run"
            stream.close()
            msg = f"{path.parent}: {holder}; wait until it ends, or stop it, then run this again"
            raise UsageError(msg)
        if _is_same_file(stream, path):
            break
        # The process that held the lock deleted the file between open and lock.
        stream.close()
    stream.truncate(0)
    stream.write(
        f"process {os.getpid()} on {socket.gethostname()} is {doing} since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )
    stream.flush()
    return stream


def _is_same_file(stream: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(stream: IO[str]) -> bool:
        stream.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import errno
    import fcntl

    def _try_lock(stream: IO[str]) -> bool:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems do not support locks; run without one there.
            return error.errno not in {errno.EWOULDBLOCK, errno.EACCES}
        return True
