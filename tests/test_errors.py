from __future__ import annotations

import inspect

from brainslice import errors

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def test_every_error_is_in_the_documented_tree_with_its_exit_code() -> None:
    drawn = [line for line in (errors.__doc__ or "").splitlines() if "exit code" in line]
    for kind in TREE:
        if kind is errors.BrainsliceError:
            continue
        line = next(line for line in drawn if f" {kind.__name__} " in line)
        assert line.endswith(f"exit code {kind.exit_code}")


def test_every_error_derives_from_the_base_error() -> None:
    assert all(issubclass(kind, errors.BrainsliceError) for kind in TREE)
    assert {kind.exit_code for kind in TREE} == {1, 2, 3, 4, 5, 6, 7}
