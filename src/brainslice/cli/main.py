"""The command ``brainslice``: one verb, one file."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import brainslice
from brainslice.cli import (
    audit,
    crossval,
    demo,
    download,
    evaluate,
    later,
    original,
    predict,
    prepare,
    run,
    summary,
    train,
)
from brainslice.cli.exits import DEBUG, one_line_errors

app = typer.Typer(
    name="brainslice",
    help="Brain-tumour MRI slices classified by a model whose every number can be believed. For research only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"brainslice {brainslice.__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something goes wrong.")] = False,
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if debug:
        os.environ[DEBUG] = "1"


app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("download")(download.download)
app.command("prepare")(prepare.prepare)
app.command("audit")(audit.audit)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("crossval")(crossval.crossval)
app.command("predict")(predict.predict)
app.command("summary")(summary.summary)
app.command("external", context_settings=later.ANY_WORDS)(later.external)
app.command("adapt", context_settings=later.ANY_WORDS)(later.adapt)
app.command("threshold", context_settings=later.ANY_WORDS)(later.threshold)
app.command("original-download-and-prepare", hidden=True)(original.download_and_prepare)
app.command("original-download-external", hidden=True)(original.download_external)
app.command("original-infer", hidden=True)(original.infer)


def main(*arguments: str) -> None:
    """Run the command line.

    Args:
        *arguments: Words to use instead of the process's own.
    """
    with one_line_errors():
        app(list(arguments) or None)


if __name__ == "__main__":
    main()
