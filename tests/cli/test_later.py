from __future__ import annotations

import pytest

from command import call

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("verb", ["external", "adapt", "threshold"])
def test_a_verb_to_come_says_so_whatever_it_is_given(verb: str, capsys: Capture) -> None:
    assert call(verb, "--data", "folder", "word") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"brainslice: brainslice {verb} is not there yet")
    assert said.count("\n") == 1


@pytest.mark.parametrize("verb", ["external", "adapt", "threshold"])
def test_the_help_of_a_verb_to_come_says_so_too(verb: str, capsys: Capture) -> None:
    assert call(verb, "--help") == 0
    assert "not there yet" in capsys.readouterr().out
