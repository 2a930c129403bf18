"""Commands that make a bundle and show what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbridge._console import console, print_json, working
from kbridge.cli.app import BundleFile, Calibration, Engine, Json, Precision, Threads, app


@app.command()
def export(
    source: Annotated[
        Path, typer.Argument(help="A Keras model: .keras, or HDF5 of Keras 1, 2 or 3.")
    ],
    out: Annotated[Path, typer.Argument(help="The bundle to write, such as model.h5.")],
    sample: Annotated[
        Path | None,
        typer.Option(help="Inputs for the golden samples (.npy, or .npz by input name)."),
    ] = None,
    allow_lambda: Annotated[
        bool,
        typer.Option(
            "--allow-lambda", help="Load code of Lambda layers. Only for files you trust."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a bundle of a Keras model file.

    The bundle holds the graph, the weights, the training metadata and golden samples. It is written
    whole or not at all.

    For example:

    - `kbridge export model.keras model.h5`

    - `kbridge export old_keras2_model.hdf5 model.h5 --sample images.npy`
    """
    with working(f"exporting {source.name}", as_json):
        from kbridge._arrayfiles import read_arrays
        from kbridge.export.exporter import export as export_model

        x = None if sample is None else read_arrays(sample)
        report = export_model(source, out, x, allow_lambda=allow_lambda)
    if as_json:
        print_json(
            {
                "bundle": str(report.path),
                "bytes": report.path.stat().st_size,
                "model": report.model_name,
                "operations": report.nodes,
                "weights": report.weights,
                "weight_bytes": report.weight_bytes,
                "seconds": report.seconds,
                "notes": report.notes,
                "without_keras2": report.without_keras2,
            }
        )
        return
    typer.echo(str(report))
    for note in report.notes:
        typer.echo(f"- {note}")


@app.command()
def inspect(
    bundle: BundleFile,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show the steps that compute a prediction. Needs Java.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="With --plan: run it, and show what takes the time.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="With --plan: samples in a batch.")] = 1,
    inputs: Annotated[
        Path | None,
        typer.Option("--input", "-i", help="With --plan: a batch of inputs (.npy, .npz)."),
    ] = None,
    engine: Engine = "auto",
    precision: Precision = "float32",
    calibration: Calibration = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Show what a bundle holds, or with --plan how it is computed.

    Without --plan: inputs, outputs, layers, weights, training; Java is not needed. With --plan: the
    steps, which operations each computes at once, by which implementation, and how long it takes;
    and which operations the engine left to ND4J.

    For example:

    - `kbridge inspect model.h5`

    - `kbridge inspect model.h5 --json | jq .weights.parameters`

    - `kbridge inspect model.h5 --plan --profile --engine onednn --batch 4`
    """
    if not plan:
        if profile or inputs is not None or calibration is not None:
            message = "--profile, --input and --calibration need --plan"
            raise typer.BadParameter(message, param_hint="--plan")
        from kbridge.inspection import describe, render

        told = describe(bundle)
    else:
        from kbridge._arrayfiles import read_arrays
        from kbridge.planview import RUNS, describe_plan
        from kbridge.planview import render_plan as render

        with working(f"compiling {bundle.name}", as_json):
            x = None if inputs is None else read_arrays(inputs)
            runs = RUNS if profile else 0
            options = {"engine": engine, "precision": precision, "threads": threads}
            if calibration is not None:
                options["calibration"] = read_arrays(calibration)
            told = describe_plan(bundle, x, batch=batch, runs=runs, **options)
    if as_json:
        print_json(told)
    else:
        console().print(render(told))


@app.command()
def plot(
    bundle: BundleFile,
    out: Annotated[Path, typer.Argument(help="The picture: .svg, .png, .pdf, or .dot.")],
    layers: Annotated[
        bool, typer.Option("--layers", help="One node per layer; better for big models.")
    ] = False,
) -> None:
    """Draw a bundle's graph with GraphViz.

    Layers are boxes, operations are nodes, and the arrows say shapes and dtypes.

    For example:

    - `kbridge plot model.h5 model.svg`

    - `kbridge plot resnet50.h5 resnet50.pdf --layers`
    """
    with working(f"drawing {bundle.name}", as_json=False):
        from kbridge.plot import plot as draw

        draw(bundle, out, layers=layers)
    typer.echo(f"picture: {out}")
