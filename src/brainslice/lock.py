"""One run at a time in one place: whoever comes second hears who is there."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from brainslice.errors import UsageError

# Windows locks bytes, and a locked byte cannot be read; this one lies far behind what is written.
_FAR = 1 << 20


@contextlib.contextmanager
def exclusive_lock(path: Path, doing: str) -> Iterator[None]:
    """Hold a lock while the block runs; the system lets go of it even if the process is killed.

    Args:
        path: The lock's file; it goes when the block ends.
        doing: What the run does, such as ``preparing``.

    Raises:
        UsageError: Another run holds the lock; the message names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = _hold(path, doing)
    try:
        yield
    finally:
        # Deleted while nobody else can hold it; on Windows an open file cannot be, so closing comes first there.
        if sys.platform == "win32":
            stream.close()
        with contextlib.suppress(OSError):
            path.unlink()
        stream.close()


def _hold(path: Path, doing: str) -> IO[str]:
    while True:
        stream = path.open("a+", encoding="utf-8")
        if not _taken(stream):
            stream.seek(0)
            holder = " ".join(stream.read().split()) or "another run"
            stream.close()
            msg = f"{path.parent}: {holder}; wait until it ends, or stop it, then run this again"
            raise UsageError(msg)
        if _is_still(stream, path):
            break
        # Whoever held it deleted the file between our opening and our locking it.
        stream.close()
    stream.truncate(0)
    stream.write(
        f"process {os.getpid()} on {socket.gethostname()} is {doing} since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )
    stream.flush()
    return stream


def _is_still(stream: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _taken(stream: IO[str]) -> bool:
        stream.seek(_FAR)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import errno
    import fcntl

    def _taken(stream: IO[str]) -> bool:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems have no locks: then nobody can be kept out.
            return error.errno not in {errno.EWOULDBLOCK, errno.EACCES}
        return True
