"""Workers of shards that are killed once."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brainslice.processes import Send
from brainslice.tables import shards, table
from brainslice.tables.shards import ShardWorker


def predict_and_be_killed(arguments: Mapping[str, Any], send: Send) -> None:
    """Predict listed shards, and be killed once, in the middle of a shard after the first."""
    marker, rows = Path(arguments["marker"]), 0
    original = table.row_of

    def row_of(*given: object) -> object:
        nonlocal rows
        rows += 1
        if rows == 30 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*given)

    table.row_of = row_of
    shards.predict_listed(arguments, send)


class KilledOnce(ShardWorker):
    """A worker that is killed once, after its second shard was written."""

    def predict(self, number: int, scans: Sequence[str]) -> tuple[int, list[int]]:
        """Predict a shard."""
        done, marker = super().predict(number, scans), self._output.parent.parent / "killed"
        if number == 2 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return done
