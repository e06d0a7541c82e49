from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from command import call
from orthanc import free_port

Capture = pytest.CaptureFixture[str]


def test_an_archive_that_is_not_there_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("dicomweb_client", reason="needs the extra brainslice[pacs]")
    pytest.importorskip("highdicom", reason="needs the extra brainslice[pacs]")
    words = ("pacs", "predict", "http://pacs.example/dicom-web", "--state", tmp_path / "state")
    assert call(*words) == 2
    assert "must begin with https://" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--allow-ae", "SCANNER", "--send-to", "nowhere"), "TITLE@HOST:PORT"),
        (("--allow-ae", "A" * 17, "--send-to", "ORTHANC@127.0.0.1:4242"), "1 to 16"),
        (("--allow-ae", "SCANNER", "--send-to", "http://pacs.example/dicom-web"), "must begin with https://"),
    ],
)
def test_a_listener_with_wrong_names_is_refused(
    words: tuple[str, ...], reason: str, tmp_path: Path, capsys: Capture
) -> None:
    pytest.importorskip("pynetdicom", reason="needs the extra brainslice[pacs]")
    assert call("pacs", "listen", "--spool", tmp_path / "spool", "--port", free_port(), *words) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("predict", "https://pacs.example"), ("listen", "--allow-ae", "A", "--send-to", "B@127.0.0.1:4242")]
)
def test_without_its_libraries_the_command_names_the_extra(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert call("pacs", *words) == 2
    assert "pip install 'brainslice[pacs]'" in capsys.readouterr().err
