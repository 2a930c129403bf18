"""The program that the commands belong to: its help, its errors and exit codes, shared options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kbridge import errors
from kbridge._console import Exit, exit_code

_EPILOG = (
    "Exit codes: 0 all went well; 1 a check or self-test failed; 2 wrong usage or inputs; 3 the "
    "model has parts that are not supported; 4 a file is missing, damaged or not writable; 5 "
    "something is missing on this machine (Java, its libraries, a package); 6 anything else."
)


class _Commands(TyperGroup):
    """Turns kbridge's errors into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except errors.KBridgeError as e:
            if ctx.params.get("debug"):
                raise
            typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
            typer.echo(str(e), err=True)
            raise typer.Exit(exit_code(e)) from e
        except KeyboardInterrupt as e:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(Exit.INTERRUPTED) from e


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)

Json = Annotated[bool, typer.Option("--json", help="Write JSON to stdout; messages go to stderr.")]
Engine = Annotated[str, typer.Option(help="The JVM's engine: auto, nd4j or onednn.")]
Precision = Annotated[
    str, typer.Option(help="What products are computed with: float32, bfloat16 or int8.")
]
Calibration = Annotated[
    Path | None,
    typer.Option(help="With --precision int8: samples of real inputs (.npy, .npz)."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")]
Device = Annotated[
    str, typer.Option(help="What computes: auto, cpu, gpu, or a GPU by its number as in gpu:1.")
]
BundleFile = Annotated[Path, typer.Argument(help="A bundle, as `kbridge export` writes it.")]


def _version(wanted: bool) -> None:
    if wanted:
        import kbridge

        typer.echo(f"kbridge {kbridge.__version__}")
        raise typer.Exit


@app.callback()
def _kbridge(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks instead of short messages.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Runs Keras models inside a JVM, and proves that the numbers are the same.

    A first walk:

    - `kbridge doctor` says whether this machine has all it takes.

    - `kbridge export model.keras model.h5` makes a bundle of a Keras model.

    - `kbridge check model.keras` compares Keras and the JVM, layer by layer.

    - `kbridge run model.h5 --input x.npy --output y.npy` runs the bundle in the JVM.
    """
    # NB: TensorFlow's notes on its own start would bury ours. A user's own choice stands.
    if not debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
