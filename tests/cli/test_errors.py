from __future__ import annotations

import errno

import pytest

from brainslice import errors
from brainslice.cli.errors import one_line_errors


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errors.ConfigError("a: b"), 2),
        (errors.LeakError("a: b"), 2),
        (errors.DatasetError("a: b"), 3),
        (errors.BundleError("a: b"), 4),
        (errors.ResourceError("a: b"), 5),
        (errors.ParityError("a: b"), 6),
        (errors.DownloadError("a: b"), 7),
        (MemoryError(), 5),
        (OSError(errno.ENOSPC, "No space left", "file"), 5),
        (PermissionError(errno.EACCES, "Permission denied", "file"), 1),
        (RuntimeError("two\nlines"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_fault_is_one_line_and_its_exit_code(
    fault: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, one_line_errors():
        raise fault
    assert caught.value.code == code
    said = capsys.readouterr().err
    assert said.startswith("brainslice: ")
    assert said.count("\n") == 1


def test_debug_shows_the_fault_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAINSLICE_DEBUG", "1")
    with pytest.raises(errors.ConfigError), one_line_errors():
        raise errors.ConfigError
