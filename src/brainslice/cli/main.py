"""The command ``brainslice``: one verb, one file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

import brainslice
from brainslice.cli import original_commands
from brainslice.cli.data import audit, download, prepare
from brainslice.cli.errors import DEBUG, one_line_errors
from brainslice.cli.evaluation import evaluate, lesion_test, summary, threshold, validate
from brainslice.cli.prediction import predict, predict_volume, serve, worklist
from brainslice.cli.training import adapt, crossval, demo, ensemble, run, train

app = typer.Typer(
    name="brainslice",
    help="Brain-tumour MRI slices classified by a model whose every number can be believed. For research only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool | None) -> None:
    if wanted:
        sys.stdout.write(f"brainslice {brainslice.__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something goes wrong.")] = False,
    _: Annotated[
        bool | None, typer.Option("--version", help="Print the version and end.", callback=_version, is_eager=True)
    ] = None,
) -> None:
    if debug:
        os.environ[DEBUG] = "1"


def _verb(name: str, body: Callable[..., None], **settings: Any) -> None:  # noqa: ANN401 - typer's own settings
    # typer would end an interrupted verb without a word, so each verb ends by itself as all errors do.
    app.command(name, **settings)(one_line_errors()(body))


_verb("run", run.run)
_verb("demo", demo.demo)
_verb("download", download.download)
_verb("prepare", prepare.prepare)
_verb("audit", audit.audit)
_verb("train", train.train)
_verb("evaluate", evaluate.evaluate)
_verb("crossval", crossval.crossval)
_verb("lesion-test", lesion_test.lesion_test)
_verb("ensemble", ensemble.ensemble)
_verb("predict", predict.predict)
_verb("predict-volume", predict_volume.predict_volume)
_verb("worklist", worklist.worklist)
_verb("serve", serve.serve)
_verb("summary", summary.summary)
_verb("validate", validate.validate)
_verb("adapt", adapt.adapt)
_verb("threshold", threshold.threshold)
# Names of earlier versions.
_verb("external", validate.validate, hidden=True)
_verb("triage", worklist.worklist, hidden=True)
_verb("volume", predict_volume.predict_volume, hidden=True)
_verb("original-download-and-prepare", original_commands.download_and_prepare, hidden=True)
_verb("original-download-external", original_commands.download_external, hidden=True)
_verb("original-infer", original_commands.infer, hidden=True)


def main(*arguments: str) -> None:
    """Run the command line.

    Args:
        *arguments: Words to use instead of the process's own.
    """
    with one_line_errors():
        app(list(arguments) or None)


if __name__ == "__main__":
    main()
