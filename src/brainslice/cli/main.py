"""The command line ``brainslice``; each command has a module of its own."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

import brainslice
from brainslice.cli import original_commands
from brainslice.cli.console import ERR, replace_unprintable
from brainslice.cli.data import audit, download, prepare
from brainslice.cli.errors import DEBUG, one_line_errors
from brainslice.cli.evaluation import evaluate, lesion_test, summary, threshold, validate
from brainslice.cli.prediction import predict, predict_volume, serve, worklist
from brainslice.cli.training import adapt, crossval, demo, ensemble, run, train
from brainslice.lazy import require_extra

app = typer.Typer(
    name="brainslice",
    help="Classify brain-tumour MRI slices, with calibrated probabilities and heat maps. For research only.",
    epilog="Examples: brainslice demo | brainslice predict scan.png | brainslice run --source archive.zip",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EVALUATION: Final = ("sklearn", "scipy", "matplotlib")
_TRAINING: Final = ("tensorflow", "keras", "onnx", "tf2onnx", "h5py", *_EVALUATION)


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
    ERR.quiet = quiet


def _command(panel: str, name: str, body: Callable[..., None], needs: tuple[str, ...] = (), example: str = "") -> None:
    @functools.wraps(body)
    def checked(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - whatever the command takes
        require_extra("train", f"brainslice {name}", *needs)
        body(*arguments, **options)

    # typer ends an interrupted command silently, so each command handles its errors itself.
    app.command(
        name,
        rich_help_panel=panel,
        hidden=not panel,
        epilog=f"Example: brainslice {name} {example}" if example else None,
    )(one_line_errors()(checked))


_ALL, _DATA, _TRAIN, _EVALUATE, _PREDICT = "All at once", "Data", "Training", "Evaluation", "Prediction"
_command(_ALL, "run", run.run, _TRAINING, "--source archive.zip")
_command(_ALL, "demo", demo.demo, _TRAINING, "--patients 12")
_command(_DATA, "download", download.download, (), "nickparvar")
_command(_DATA, "prepare", prepare.prepare, (), "archive.zip")
_command(_DATA, "audit", audit.audit, (), "scans --json")
_command(_TRAIN, "train", train.train, _TRAINING, "--set train.epochs=20")
_command(_TRAIN, "crossval", crossval.crossval, _TRAINING, "--folds 5")
_command(_TRAIN, "ensemble", ensemble.ensemble, _TRAINING, "--test")
_command(_TRAIN, "adapt", adapt.adapt, _TRAINING, "--data site")
_command(_EVALUATE, "evaluate", evaluate.evaluate, _EVALUATION, "--gradcam 16")
_command(_EVALUATE, "validate", validate.validate, _EVALUATION, "--data site")
_command(_EVALUATE, "lesion-test", lesion_test.lesion_test, ("sklearn", "scipy"), "slices --output result.json")
_command(_EVALUATE, "threshold", threshold.threshold, _EVALUATION, "--target-sensitivity 0.95 --save")
_command(_EVALUATE, "summary", summary.summary, _EVALUATION)
_command(_PREDICT, "predict", predict.predict, (), "scans --output results.csv")
_command(_PREDICT, "predict-volume", predict_volume.predict_volume, (), "head.nii.gz --json")
_command(_PREDICT, "worklist", worklist.worklist, (), "scans --review-budget 0.2")
_command(_PREDICT, "serve", serve.serve, (), "--port 8000")
# Names of earlier versions.
_command("", "external", validate.validate, _EVALUATION)
_command("", "triage", worklist.worklist)
_command("", "volume", predict_volume.predict_volume)
_command("", "original-download-and-prepare", original_commands.download_and_prepare)
_command("", "original-download-external", original_commands.download_external)
_command("", "original-infer", original_commands.infer)


def main(*arguments: str) -> None:
    """Run the command line.

    Args:
        *arguments: Words to use instead of the process's own.
    """
    replace_unprintable()
    with one_line_errors():
        app(list(arguments) or None)


if __name__ == "__main__":
    main()
