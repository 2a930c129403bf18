"""Commands that get this machine ready: what it has, and the Java libraries."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kbridge._console import Exit, console, print_json, quiet_stdout
from kbridge.cli.app import Json, app


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
