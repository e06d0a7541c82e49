"""Set up brainslice's own Python environment once, then run the whole pipeline in it.

    python run.py [OPTIONS]         from data to report: the options of `brainslice run`
    python run.py --demo [OPTIONS]  the same on drawn heads, in minutes: the options of `brainslice demo`
    python run.py --set-up          install into .venv and stop
    python run.py --set-up --dev    the same, with what ./test.sh needs

Standard library only, on Linux, macOS and Windows; run.sh, run.ps1 and run.bat find a Python and call this.
Exit codes: 2 Python or options, 5 disk full, 7 no package index, otherwise what brainslice itself says.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
OLDEST, NEWEST = (3, 11), (3, 13)

_NO_NETWORK = (
    r"Failed to (?:establish a new connection|connect|resolve)|Unable to connect|Max retries exceeded"
    r"|[Tt]imed out|name resolution|getaddrinfo failed|Connection (?:refused|reset|aborted)"
    r"|Network is unreachable"
    r"|(?:NewConnection|ConnectTimeout|ReadTimeout|NameResolution|Proxy|SSL|Protocol)Error"
)
# What venv and pip say when they fail: a pattern, our exit code, and our one line instead.
_FAULTS = (
    (
        r"No space left on device|not enough space on the disk|Disk quota exceeded",
        5,
        "the disk is full; the environment takes about 2 GB: free some space, then run this again",
    ),
    (
        r"ensurepip",
        2,
        "this Python cannot create environments; install its venv package (Debian, Ubuntu: python3-venv)",
    ),
    (
        _NO_NETWORK,
        7,
        "the package index cannot be reached; check the network or the proxy, then run this again",
    ),
)


class SetUpError(Exception):
    """The environment cannot be made; one line says why and what to do."""

    def __init__(self, message: str, exit_code: int) -> None:
        """Keep the line and the exit code that goes with it."""
        super().__init__(message)
        self.exit_code = exit_code


def main(arguments: list[str]) -> int:
    """Set up what is missing, then hand over to brainslice; return its exit code."""
    try:
        refuse_python(tuple(sys.version_info[:2]), sys.executable)
        if "--set-up" in arguments:
            set_up(ROOT / ("requirements-dev.txt" if "--dev" in arguments else "requirements.txt"))
            _say(f"{ENVIRONMENT} is up to date")
            return 0
        set_up(ROOT / "requirements.txt")
    except SetUpError as error:
        return _end_with(str(error), error.exit_code)
    except OSError as error:
        fault = fault_of(f"error: {error}")
        return _end_with(str(fault), fault.exit_code)
    except KeyboardInterrupt:
        return _end_with("stopped; run this again to go on", 130)
    return launch(command_for(arguments, Path.cwd()))


def refuse_python(version: tuple[int, ...], where: str) -> None:
    """Refuse a Python for which the libraries exist in no build.

    Raises:
        SetUpError: ``version`` is older than ``OLDEST`` or newer than ``NEWEST``.
    """
    if not OLDEST <= version <= NEWEST:
        got = ".".join(map(str, version))
        message = f"Python must be 3.11, 3.12 or 3.13, got {got} ({where}); python.org has all three"
        raise SetUpError(message, 2)


def command_for(arguments: list[str], folder: Path) -> list[str]:
    """Translate our arguments, given in ``folder``, into a command line for the environment's Python.

    Called from elsewhere, the project is still the one that this file lies in; paths that were given stay as
    they were meant, relative to ``folder``.
    """
    rest = [argument for argument in arguments if argument != "--demo"]
    is_demo = len(rest) < len(arguments)
    is_placed = any(argument.split("=")[0] == "--project-root" for argument in rest)
    if folder != ROOT and not is_placed:
        rest += ["--project-root", str(ROOT / "demo" if is_demo else ROOT)]
    return ["-m", "brainslice.cli.main", "demo" if is_demo else "run", *rest]


def set_up(requirements: Path) -> None:
    """Make the environment and install into it, unless both are already as ``requirements`` wants them.

    Raises:
        SetUpError: The environment cannot be made, or something cannot be installed.
    """
    stamp = ENVIRONMENT / f".installed-{requirements.stem}"
    wanted = fingerprint(requirements)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted and python_of(ENVIRONMENT).exists():
        return
    started = time.monotonic()
    make_environment()
    stamp.unlink(missing_ok=True)
    pins = len(re.findall(r"^[^#\n]*==", pinned_text(requirements), flags=re.MULTILINE))
    install(["--requirement", str(requirements)], Ticker(pins).hear)
    # setuptools is among the pins, so that building the package fetches nothing.
    install(["--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    stamp.write_text(wanted, encoding="utf-8")
    _say(f"{ENVIRONMENT} is ready after {time.monotonic() - started:.0f} s")


def pinned_text(requirements: Path) -> str:
    """Read a requirements file together with the files it names by ``-r``."""
    text = requirements.read_text(encoding="utf-8")
    included = re.findall(r"^-r\s+(\S+)", text, flags=re.MULTILINE)
    return text + "".join(pinned_text(requirements.parent / name) for name in included)


def fingerprint(requirements: Path) -> str:
    """Hash all that an installation depends on: the pins, the package's own settings, and where it lies."""
    digest = hashlib.sha256()
    for part in (pinned_text(requirements), (ROOT / "pyproject.toml").read_text(encoding="utf-8"), str(ROOT)):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def make_environment() -> None:
    """Create ``.venv`` where there is none; keep one that works.

    Raises:
        SetUpError: The one that is there has no usable Python, or none can be created.
    """
    if ENVIRONMENT.exists():
        refuse_python(version_of(python_of(ENVIRONMENT)), str(ENVIRONMENT))
        return
    _say(f"creating {ENVIRONMENT}")
    command = [sys.executable, "-m", "venv", str(ENVIRONMENT)]
    try:
        # S603: the interpreter that runs this file, and no shell.
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except BaseException:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        raise
    if done.returncode != 0:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        raise fault_of(done.stdout + done.stderr)


def version_of(python: Path) -> tuple[int, ...]:
    """Ask an interpreter for its version.

    Raises:
        SetUpError: It does not answer.
    """
    command = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        # S603: the environment's interpreter, and no shell.
        answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        message = f"{ENVIRONMENT} holds no working Python; delete that folder, then run this again"
        raise SetUpError(message, 2) from error
    return tuple(int(number) for number in answer.stdout.split())


def python_of(environment: Path) -> Path:
    """Find the interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


class Ticker:
    """Turns pip's talk into one line: rewritten in place on a terminal, said once a stage elsewhere."""

    def __init__(self, pins: int) -> None:
        """Expect ``pins`` packages."""
        self._pins = pins
        self._collected = 0
        self._stage = ""

    def hear(self, line: str) -> None:
        """Read one line of pip's output."""
        if line.startswith("Installing collected packages"):
            self._show("unpacking and compiling the packages; this takes some minutes")
        elif "(from -r " in line and line.startswith(("Collecting ", "Processing ", "Requirement already")):
            self._collected += 1
            self._show("fetching packages", f" {self._collected}/{self._pins}")

    def _show(self, stage: str, detail: str = "") -> None:
        if sys.stdout.isatty():
            sys.stdout.write("\r" + f"run.py: {stage}{detail}"[:78].ljust(78))
            sys.stdout.flush()
        elif stage != self._stage:
            _say(stage)
        self._stage = stage


def install(options: list[str], hear: Callable[[str], object] = str) -> None:
    """Let pip install quietly; all that it says goes to ``.venv/pip.log``, and to ``score_members`` line by line.

    Raises:
        SetUpError: pip failed; the exit code says whether for want of network or of disk.
    """
    pip = [str(python_of(ENVIRONMENT)), "-m", "pip", "--no-input", "--disable-pip-version-check"]
    command = [*pip, "install", "--compile", "--progress-bar", "off", *options]
    log = ENVIRONMENT / "pip.log"
    # S603: the environment's interpreter, and no shell.
    with log.open("w", encoding="utf-8") as record, subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=child_environment()
    ) as process:  # fmt: skip
        for raw in process.stdout or ():
            line = raw.decode("utf-8", errors="replace")
            record.write(line)
            hear(line)
    if sys.stdout.isatty():
        sys.stdout.write("\n")
    if process.returncode != 0:
        raise fault_of(log.read_text(encoding="utf-8"))


def fault_of(output: str) -> SetUpError:
    """Turn what venv or pip said before it failed into one line with an exit code."""
    for pattern, exit_code, message in _FAULTS:
        if re.search(pattern, output):
            return SetUpError(message, exit_code)
    complaints = [line.strip() for line in output.splitlines() if "error" in line.lower()]
    reason = complaints[-1] if complaints else "no reason was given"
    return SetUpError(f"installing failed: {reason} (all that pip said: {ENVIRONMENT / 'pip.log'})", 1)


def child_environment() -> dict[str, str]:
    """Give the variables under which pip and brainslice run: those of the activated environment.

    ``PYTHONDONTWRITEBYTECODE`` is left out: without compiled bytecode TensorFlow takes three times as long
    to import.
    """
    unwanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONHOME"}
    variables = {name: value for name, value in os.environ.items() if name.upper() not in unwanted}
    variables["VIRTUAL_ENV"] = str(ENVIRONMENT)
    variables["PATH"] = os.pathsep.join((str(python_of(ENVIRONMENT).parent), variables.get("PATH", "")))
    # Doubles TensorFlow's speed on processors where it is not on by default; must stand before the import.
    variables.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    variables.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Windows consoles and pipes otherwise refuse the signs that tables are drawn with.
    variables.setdefault("PYTHONUTF8", "1")
    return variables


def launch(command: list[str]) -> int:
    """Run the environment's Python, on Linux and macOS in this process's place, so that signals reach it."""
    python = str(python_of(ENVIRONMENT))
    sys.stdout.flush()
    # S603, S606: the environment's interpreter, and no shell.
    if os.name == "posix":
        os.execve(python, [python, *command], child_environment())  # noqa: S606
    try:
        return subprocess.call([python, *command], env=child_environment())  # noqa: S603
    except KeyboardInterrupt:
        return 130


def _say(line: str) -> None:
    sys.stdout.write(f"run.py: {line}\n")
    sys.stdout.flush()


def _end_with(line: str, exit_code: int) -> int:
    sys.stderr.write(f"run.py: {line}\n")
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
