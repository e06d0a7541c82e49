"""Errors of commands: one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from brainslice.errors import BrainsliceError, ResourceError
from brainslice.files import is_full_disk

DEBUG = "BRAINSLICE_DEBUG"
"""Set to anything, this variable shows tracebacks, as ``--debug`` does."""

INTERRUPTED = 130


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print an error in one line and exit with its code; with ``--debug``, raise it."""
    try:
        yield
    except KeyboardInterrupt:
        _end("interrupted; run the same command again to go on where it stopped", INTERRUPTED)
    except BrokenPipeError:
        # The reader of the pipe has closed it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except BrainsliceError as error:
        _end(str(error), error.exit_code)
    except MemoryError:
        _end(
            "not enough memory; lower train.batch_size or close other programs, then run again",
            ResourceError.exit_code,
        )
    except OSError as error:
        code = ResourceError.exit_code if is_full_disk(error) else 1
        _end(f"{error.filename or 'the system'}: {error.strerror or error}", code)
    except Exception as error:  # noqa: BLE001 - the last handler: every error is shown in one line
        _end(
            f"unexpected {type(error).__name__}: {str(error)[:300]}; run again with --debug and report it",
            1,
        )


def _end(line: str, code: int) -> None:
    if os.environ.get(DEBUG):
        raise  # noqa: PLE0704 - called from the except clauses above only
    sys.stderr.write(f"brainslice: {' '.join(line.split())}\n")
    raise SystemExit(code) from None
