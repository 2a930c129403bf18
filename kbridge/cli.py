"""The command line: ``kbridge export | inspect | run | check | plot | doctor | jars``.

Heavy imports are inside of the commands, so that ``kbridge --help`` answers at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kbridge import errors
from kbridge._console import Exit, console, exit_code, print_json, quiet_stdout, working

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
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")]
Device = Annotated[
    str, typer.Option(help="What computes: auto, cpu, gpu, or a GPU by its number as in gpu:1.")
]
BundleFile = Annotated[Path, typer.Argument(help="A bundle, as `kbridge export` writes it.")]


def main() -> None:
    """Runs the command line; the ``kbridge`` program."""
    app(prog_name="kbridge")


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
        if profile or inputs is not None:
            raise typer.BadParameter("--profile and --input need --plan", param_hint="--plan")
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
            told = describe_plan(bundle, x, batch=batch, runs=runs, **options)
    if as_json:
        print_json(told)
    else:
        console().print(render(told))


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
    threads: Threads = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Run a bundle in the JVM.

    For example:

    - `kbridge run model.h5 --input x.npy --output y.npy`

    - `kbridge run model.h5 --input inputs.npz --json`

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
        from kbridge.jvm.model import load
        from kbridge.jvm.structures import flatten

        x = read_arrays(inputs)
        with read_bundle(bundle) as opened:
            structure = opened.spec["output_structure"]
        options = {"engine": engine, "precision": precision, "threads": threads}
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


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is found on this machine, and what to do about what is missing.

    Looks at versions, Java, the Java libraries, the CPU and the ND4J build chosen for it, GPU,
    memory, disk and GraphViz. Downloads and changes nothing.

    For example:

    - `kbridge doctor`

    - `kbridge doctor --json`
    """
    from kbridge import doctor as examination

    findings = examination.examine()
    healthy = examination.healthy(findings)
    if as_json:
        print_json({"ok": healthy, "findings": examination.as_dicts(findings)})
    else:
        console().print(examination.render(findings))
    if not healthy:
        raise typer.Exit(Exit.ENVIRONMENT)


@app.command()
def jars(
    only_list: Annotated[
        bool, typer.Option("--list", help="List the libraries; download nothing.")
    ] = False,
    device: Annotated[str, typer.Option(help="What they are for: cpu or gpu.")] = "cpu",
    yes: Annotated[
        bool, typer.Option("--yes", help="For a GPU: download without asking first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Download the Java libraries that running needs, so that later runs work offline.

    They go into the local Maven repository, and each is checked against its SHA-256. What is there
    already is not downloaded again. Those for a GPU are asked about first, with their size, and
    only downloaded where the driver has a GPU that they can run on.

    For example:

    - `kbridge jars`

    - `kbridge jars --list`

    - `kbridge jars --device gpu`
    """
    from kbridge.jvm import devices
    from kbridge.jvm import jars as library

    repository = library.local_repository()
    kind = devices.parse(device).kind
    wanted = library.runtime_artifacts(kind)
    if not only_list:
        if kind == "gpu":
            _agree_to_cuda(library.absent(wanted), yes)
        with quiet_stdout(as_json):
            library.resolve(wanted, device=kind)
    rows = [
        {
            "coordinate": artifact.coordinate,
            "path": str(artifact.path(repository)),
            "bytes": artifact.size,
            "present": artifact.path(repository).is_file(),
        }
        for artifact in wanted
    ]
    if as_json:
        print_json({"repository": str(repository), "libraries": rows})
        return
    if only_list:
        for row in rows:
            typer.echo(f"{'present' if row['present'] else 'missing'}  {row['coordinate']}")
    present, size = sum(row["present"] for row in rows), sum(a.size for a in wanted) / 1e6
    typer.echo(f"{present} of {len(rows)} libraries ({size:.0f} MB) are in {repository}")


def _agree_to_cuda(absent: list[Any], yes: bool) -> None:
    """Asks the driver, and then the user, before a GPU's libraries are downloaded."""
    from kbridge.jvm import cuda, gpu

    gpu.require()
    if not absent:
        return
    for artifact in absent:
        typer.echo(f"{artifact.size / 1e6:8.1f} MB  {artifact.coordinate}", err=True)
    if any(name not in cuda.find() for name in cuda.LIBRARIES):
        told = f"also needed, about {cuda.WHEELS_MB} MB: pip install 'kbridge[cuda]'"
        typer.echo(told, err=True)
    size = sum(artifact.size for artifact in absent) / 1e6
    if not yes:
        typer.confirm(f"Download {size:.0f} MB from Maven?", abort=True, err=True)


def _self_test(bundle: Path, engine: str, device: str, as_json: bool) -> None:
    with working(f"testing {bundle.name}", as_json):
        from kbridge.jvm.model import load

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


if __name__ == "__main__":
    main()
