"""The command line ``brainslice``."""

from __future__ import annotations

import functools
import inspect
import itertools
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

import brainslice
from brainslice.api import EVALUATION_LIBRARIES, TRAINING_LIBRARIES
from brainslice.cli import data, evaluation, networks, original_commands, pacs, pipeline, training
from brainslice.cli.console import console, replace_unprintable
from brainslice.cli.predict import predict
from brainslice.cli.predict_archive import predict_archive
from brainslice.cli.predict_volume import predict_volume
from brainslice.cli.serve import serve
from brainslice.cli.sign import sign
from brainslice.cli.sweep import sweep
from brainslice.cli.threshold import threshold
from brainslice.cli.verify import reproduce, verify
from brainslice.cli.worklist import worklist
from brainslice.errors import BrainsliceError, ResourceError
from brainslice.files import is_full_disk
from brainslice.lazy import require_extra


class _Commands(TyperGroup):
    """The commands in sections, in plain text: typer's own sections load rich and a Markdown parser."""

    def format_commands(self, context: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - classes of typer
        shown = [command for command in self.commands.values() if not command.hidden]
        for section, commands in itertools.groupby(shown, lambda command: getattr(command, "rich_help_panel", "")):
            with formatter.section(section):
                formatter.write_dl([(command.name, command.get_short_help_str(limit=200)) for command in commands])


app = typer.Typer(
    name="brainslice",
    help="Classify brain-tumour MRI slices, with calibrated probabilities and heat maps. For research only.",
    epilog=(
        "Examples: brainslice demo | brainslice predict scan.png | brainslice run --source archive.zip\n\n"
        "Exit codes: 0 success, 1 unexpected error, 2 usage, 3 unreadable data, 4 bundle, 5 disk or memory full, "
        "6 no calibration, 7 download, 8 permission denied, 130 interrupted"
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    cls=_Commands,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_VERBOSITY: Final = frozenset({"-q", "--quiet", "-v", "--verbose", "--debug"})

DEBUG: Final = "BRAINSLICE_DEBUG"
"""Set to anything, this variable shows tracebacks, as ``--debug`` does."""

_PERMISSION_DENIED: Final = 8
_INTERRUPTED: Final = 130


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print an error in one line and exit with its code; with ``--debug``, print its traceback before."""
    try:
        yield
    except KeyboardInterrupt:
        _end("interrupted; run the same command again to resume", _INTERRUPTED)
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
        denied = isinstance(error, PermissionError)
        code = ResourceError.exit_code if is_full_disk(error) else _PERMISSION_DENIED if denied else 1
        _end(f"{error.filename or 'the system'}: {error.strerror or error}", code)
    except Exception as error:  # noqa: BLE001 - the last handler: every error is shown in one line
        _end(
            f"unexpected {type(error).__name__}: {str(error)[:300]}; run again with --debug and report it",
            1,
        )


def _end(line: str, code: int) -> None:
    if os.environ.get(DEBUG):
        traceback.print_exc()
    sys.stderr.write(f"brainslice: {' '.join(line.split())}\n")
    raise SystemExit(code) from None


def _version(wanted: bool | None) -> None:
    if wanted:
        sys.stdout.write(f"brainslice {brainslice.__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", "-v", "--verbose", help="Show tracebacks of errors.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")] = False,
    _: Annotated[
        bool | None, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = None,
) -> None:
    if debug:
        os.environ[DEBUG] = "1"
    console(stderr=True).quiet = quiet


pacs_app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,
    help="Predict the studies of an archive: over DICOMweb, or received by C-STORE.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _command(panel: str, name: str, body: Callable[..., None], needs: tuple[str, ...] = (), example: str = "") -> None:
    @functools.wraps(body)
    def checked(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - whatever the command takes
        require_extra("train", f"brainslice {name}", *needs)
        body(*arguments, **options)

    # typer ends an interrupted command silently, so each command handles its errors itself.
    group, _, verb = name.rpartition(" ")
    (pacs_app if group else app).command(
        verb,
        rich_help_panel=panel,
        hidden=not panel,
        # In a paragraph, line breaks of the source are none in the help.
        help=re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(body.__doc__ or "")),
        epilog=f"Example: brainslice {name} {example}" if example else None,
    )(one_line_errors()(checked))


_ALL, _DATA, _TRAIN, _EVALUATE, _PREDICT = "All steps", "Data", "Training", "Evaluation", "Prediction"
_command(_ALL, "run", pipeline.run, TRAINING_LIBRARIES, "--source archive.zip")
_command(_ALL, "demo", pipeline.demo, TRAINING_LIBRARIES, "--patients 12")
_command(_DATA, "download", data.download, (), "nickparvar")
_command(_DATA, "prepare", data.prepare, (), "archive.zip")
_command(_DATA, "audit", data.audit, (), "scans --json")
_command(_TRAIN, "train", training.train, TRAINING_LIBRARIES, "--set train.epochs=20")
_command(_TRAIN, "crossval", training.crossval, TRAINING_LIBRARIES, "--folds 5")
_command(_TRAIN, "sweep", sweep, TRAINING_LIBRARIES, "train.quick.lr=log:1e-4..1e-2 'model.head=linear|pyramid'")
_command(_TRAIN, "ensemble", training.ensemble, TRAINING_LIBRARIES, "--test")
_command(_TRAIN, "adapt", training.adapt, TRAINING_LIBRARIES, "--data site")
_command(_TRAIN, "import-keras", networks.import_keras, TRAINING_LIBRARIES, "model.keras --class-names no,yes")
_command(_TRAIN, "export-tflite", networks.export_tflite, TRAINING_LIBRARIES, "model.tflite")
_command(_EVALUATE, "evaluate", evaluation.evaluate, EVALUATION_LIBRARIES, "--gradcam 16")
_command(_EVALUATE, "validate", evaluation.validate, EVALUATION_LIBRARIES, "--data site")
_command(_EVALUATE, "robustness", evaluation.robustness, EVALUATION_LIBRARIES, "--sample 100")
_command(_EVALUATE, "lesion-test", evaluation.lesion_test, ("sklearn", "scipy"), "slices --output result.json")
_command(_EVALUATE, "threshold", threshold, EVALUATION_LIBRARIES, "--target-sensitivity 0.95 --save")
_command(_EVALUATE, "summary", evaluation.summary, EVALUATION_LIBRARIES, "--project-root project")
_command(_EVALUATE, "verify", verify, (), "--project-root .")
_command(_EVALUATE, "reproduce", reproduce, (), "shipped")
_command(_EVALUATE, "report", evaluation.report, ("jinja2",), "project --language es")
_command(_PREDICT, "predict", predict, (), "scans --output results.csv")
_command(_PREDICT, "predict-archive", predict_archive, (), "archive --output rows.parquet --shards 256 --workers 8")
_command(_PREDICT, "predict-volume", predict_volume, (), "head.nii.gz --json")
_command(_PREDICT, "worklist", worklist, (), "scans --review-budget 0.2")
_command(_PREDICT, "serve", serve, (), "--port 8000")
_command(_PREDICT, "sign", sign, (), "models/bundle --key private.pem")
app.add_typer(pacs_app, name="pacs", rich_help_panel=_PREDICT)
_command("Commands", "pacs predict", pacs.predict, (), "https://pacs.example/dicom-web --date 20250301- --store")
_command("Commands", "pacs listen", pacs.listen, (), "--allow-ae ORTHANC --send-to ORTHANC@127.0.0.1:4242")
# Names of earlier versions.
_command("", "external", evaluation.validate, EVALUATION_LIBRARIES)
_command("", "triage", worklist)
_command("", "volume", predict_volume)
_command("", "original-download-and-prepare", original_commands.download_and_prepare)
_command("", "original-download-external", original_commands.download_external)
_command("", "original-infer", original_commands.infer)


command_line: Final = functools.cache(functools.partial(typer.main.get_command, app))
"""Make the command line once; ``app(...)`` would describe every command again for each call."""


def main(*arguments: str) -> None:
    """Run the command line, by default with the arguments of the process."""
    replace_unprintable()
    words = list(arguments or sys.argv[1:])
    # Options of verbosity are accepted after the command, too.
    words.sort(key=lambda word: word not in _VERBOSITY)
    with one_line_errors():
        command_line()(words, prog_name="brainslice")


if __name__ == "__main__":
    main()
