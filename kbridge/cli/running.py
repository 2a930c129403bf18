"""Commands that run a model in the JVM, and compare it with native Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kbridge._console import Exit, console, print_json, working
from kbridge.cli.app import BundleFile, Calibration, Device, Engine, Json, Precision, Threads, app


@app.command()
def run(
    bundle: BundleFile,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input", "-i", help="Inputs: .npy for one, .npz for several, by input name."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the outputs: .npz, or .npy for a single one."),
    ] = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Run the bundle's golden samples instead.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples to run at once.")] = 32,
    engine: Engine = "auto",
    precision: Precision = "float32",
    calibration: Calibration = None,
    threads: Threads = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Run a bundle in the JVM.

    For example:

    - `kbridge run model.h5 --input x.npy --output y.npy`

    - `kbridge run model.h5 --input inputs.npz --json`

    - `kbridge run model.h5 --input x.npy --precision int8 --calibration samples.npy`

    - `kbridge run model.h5 --self-test`
    """
    if (inputs is None) != self_test:
        raise typer.BadParameter("give either --input or --self-test", param_hint="--input")
    if self_test:
        _self_test(bundle, engine, device, as_json)
        return
    from kbridge._arrayfiles import outputs_table, read_arrays, summary, write_arrays

    with working(f"running {bundle.name}", as_json):
        from kbridge.bundle import read_bundle
        from kbridge.jvm.loading import load
        from kbridge.jvm.structures import flatten

        x = read_arrays(inputs)
        with read_bundle(bundle) as opened:
            structure = opened.spec["output_structure"]
        options = {"engine": engine, "precision": precision, "threads": threads}
        if calibration is not None:
            options["calibration"] = read_arrays(calibration)
        with load(bundle, device=device, **options) as model:
            names = [spec.name for spec in model.outputs]
            answer = model.predict(x, batch_size=batch_size, verbose=0)
        outputs = dict(zip(names, flatten(structure, answer, names), strict=True))
    if output is not None:
        write_arrays(output, outputs)
    if as_json:
        print_json({"outputs": {name: summary(array) for name, array in outputs.items()}})
    else:
        console().print(outputs_table(outputs))


def _self_test(bundle: Path, engine: str, device: str, as_json: bool) -> None:
    with working(f"testing {bundle.name}", as_json):
        from kbridge.jvm.loading import load

        with load(bundle, engine=engine, device=device) as model:
            told = model.self_test()
    if as_json:
        print_json(told)
    else:
        for output in told["outputs"]:
            verdict = "ok" if output["ok"] else "DIFFERS"
            typer.echo(
                f"{verdict}  {output['name']}: {output['wrong']} of {output['elements']} elements "
                f"differ, largest error {output['max_absolute_error']:.2g}"
            )
        typer.echo("self-test passed" if told["ok"] else "self-test FAILED")
    if not told["ok"]:
        raise typer.Exit(Exit.FAILED)


@app.command()
def check(
    source: Annotated[
        Path, typer.Argument(help="A Keras model: .keras, or HDF5 of Keras 1, 2 or 3.")
    ],
    bundle: Annotated[
        Path | None,
        typer.Option(help="A bundle to check against the model; exported anew by default."),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option("--input", "-i", help="Inputs (.npy, .npz); random ones by default."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Labels of the steps (.npy, .npz); random ones by default."),
    ] = None,
    steps: Annotated[
        int, typer.Option(min=0, help="Training steps to compare, of a compiled model.")
    ] = 0,
    rtol: Annotated[
        float | None, typer.Option(min=0, help="Relative tolerance, 1e-4 in float32.")
    ] = None,
    atol: Annotated[
        float | None, typer.Option(min=0, help="Absolute tolerance, 1e-5 in float32.")
    ] = None,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="Run Keras and the JVM in separate processes.")
    ] = False,
    allow_nan: Annotated[
        bool, typer.Option("--allow-nan", help="Accept NaN and Inf where both sides have them.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of random inputs.")] = 0,
    engine: Engine = "auto",
    precision: Precision = "float32",
    calibration: Calibration = None,
    device: Device = "auto",
    html: Annotated[Path | None, typer.Option(help="Write the report as an HTML page.")] = None,
    as_json: Json = False,
) -> None:
    """Compare native Keras and the JVM on the same inputs, layer by layer.

    Every element of every output, and of every layer's output, has to satisfy
    `|jvm - keras| <= atol + rtol * |keras|`. The first layer that does not is named. The exit code
    is 0 if all agree and 1 if not.

    For example:

    - `kbridge check model.keras --html report.html`

    - `kbridge check model.keras --bundle model.h5 --isolated`

    - `kbridge check model.keras --input images.npy --json > parity.json`

    - `kbridge check model.keras --steps 5`
    """
    with working(f"checking {source.name}", as_json) as say:
        from kbridge._arrayfiles import read_arrays
        from kbridge.parity.check import check as check_model

        report = check_model(
            source,
            None if inputs is None else read_arrays(inputs),
            None if labels is None else read_arrays(labels),
            steps=steps,
            rtol=rtol,
            atol=atol,
            engine=engine,
            precision=precision,
            calibration=None if calibration is None else read_arrays(calibration),
            device=device,
            isolated=isolated,
            bundle=bundle,
            allow_nan=allow_nan,
            seed=seed,
            progress=say,
        )
        if html is not None:
            report.to_html(html)
    if as_json:
        print_json(report.to_dict())
    else:
        console().print(report)
    if html is not None:
        typer.echo(f"report: {html}", err=as_json)
    if not report.ok:
        raise typer.Exit(Exit.FAILED)
