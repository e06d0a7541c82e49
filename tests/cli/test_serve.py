from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from brainslice.service import server
from brainslice.service.settings import Settings
from command import call
from stand_in import config, copy_project, write_bundle_for

TOKEN = "open-sesame-open-sesame"  # noqa: S105 - of these tests only


@pytest.fixture(scope="session")
def project_with_bundle(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_project(prepared, tmp_path_factory.mktemp("serve") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return root


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Predictor, Settings]]:
    """Services that were started, instead of any that listens."""
    found: list[tuple[Predictor, Settings]] = []
    monkeypatch.setattr(server, "run_server", lambda predictor, settings, _: found.append((predictor, settings)))
    monkeypatch.delenv("BRAINSLICE_TOKEN", raising=False)
    return found


def test_serve_the_project_bundle_on_loopback(
    project_with_bundle: Path, started: list[tuple[Predictor, Settings]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("serve", "--project-root", project_with_bundle, "--threshold", "0.7") == 0
    ((predictor, settings),) = started
    assert predictor.bundle.folder == project_with_bundle / "models" / "bundle"
    assert predictor.threshold == 0.7
    assert settings == Settings()
    assert "research only" in capsys.readouterr().err


def test_serve_options(project_with_bundle: Path, started: list[tuple[Predictor, Settings]]) -> None:
    words = ("--port", 9000, "--max-file-mb", 3, "--max-upload-mb", 5, "--max-requests", 7, "--answer-seconds", 9)
    assert call("serve", "--project-root", project_with_bundle, *words, "--allow-host", "Scans.example.org") == 0
    ((_, settings),) = started
    assert (settings.port, settings.hosts) == (9000, ("scans.example.org",))
    limits = settings.limits
    assert (limits.file_bytes, limits.request_bytes, limits.memory_bytes) == (3 << 20, 5 << 20, 10 << 20)
    assert (limits.requests, limits.answer_seconds) == (7, 9.0)


def test_serve_on_other_hosts_needs_a_token(
    project_with_bundle: Path, started: list[tuple[Predictor, Settings]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("serve", "--project-root", project_with_bundle, "--host", "0.0.0.0") == 2  # noqa: S104
    assert "--token-file" in capsys.readouterr().err
    assert not started


def test_token_file_and_environment(
    project_with_bundle: Path,
    started: list[tuple[Predictor, Settings]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "token.txt"
    file.write_text(f"{TOKEN}\n")
    words = ("serve", "--project-root", project_with_bundle, "--host", "0.0.0.0")  # noqa: S104
    assert call(*words, "--token-file", file) == 0
    monkeypatch.setenv("BRAINSLICE_TOKEN", TOKEN)
    assert call(*words) == 0
    assert [settings.token for _, settings in started] == [TOKEN, TOKEN]
    assert TOKEN not in "".join(capsys.readouterr())


@pytest.mark.parametrize("content", [None, b"", b"short", b"\xff\xfe" * 20])
def test_invalid_token_file(
    project_with_bundle: Path,
    started: list[tuple[Predictor, Settings]],
    tmp_path: Path,
    content: bytes | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "token.txt"
    if content is not None:
        file.write_bytes(content)
    assert call("serve", "--project-root", project_with_bundle, "--token-file", file) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not started


def test_serve_without_the_extra(
    project_with_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.util.find_spec

    def lacking(name: str, *rest: Any) -> Any:  # noqa: ANN401 - as the library's own
        return None if name == "uvicorn" else real(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", lacking)
    assert call("serve", "--project-root", project_with_bundle) == 2
    said = capsys.readouterr().err
    assert "uvicorn" in said
    assert "brainslice[serve]" in said
