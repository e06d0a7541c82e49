from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from brainslice.errors import ConfigError
from brainslice.processes import Call, ProcessGroup
from process_calls import is_running


def test_listener_ends_a_process(tmp_path: Path) -> None:
    file = tmp_path / "process"
    with closing(ProcessGroup()) as group:
        call = Call("process_calls:wait", {"file": str(file)}, "waiting")
        assert group.run(call, lambda message: message["number"] < 3) is None
    assert not is_running(int(file.read_text()))


def test_errors_and_messages_come_from_the_process() -> None:
    messages: list[object] = []
    with closing(ProcessGroup()) as group:
        call = Call("process_calls:add", {"a": 1, "b": 2}, "sum")
        assert group.run(call, lambda message: not messages.append(message))["sum"] == 3
        with pytest.raises(ConfigError, match="lr must be > 0"):
            group.run(Call("process_calls:refuse", {}, "fold 1"), lambda _: True)
    assert messages == [{"progress": ["adding", 1, 1]}]
