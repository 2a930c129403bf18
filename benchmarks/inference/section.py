"""Times every engine on every workload."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.context import Context
from benchmarks.harness import Cell, EngineFailedError, EngineSpec, measure, run_module
from benchmarks.inference.prepare import FILES
from benchmarks.inference.workloads import WORKLOADS, Workload

NAME = "inference"

# NB: the fastest side by side. A virtual machine's processors may share a cache in one minute and
# none in the next, when small models take twice as long: who is compared should meet the same.
ENGINES = (
    EngineSpec("kbridge oneDNN", "kbridge", "onednn", "bundle", ours=True),
    EngineSpec("ONNX Runtime", "onnxruntime", "-", "onnx"),
    EngineSpec("kbridge oneDNN", "java:KBridgeEngine", "onednn", "bundle", True, "Java"),
    EngineSpec("ONNX Runtime", "java:OnnxRuntimeEngine", "", "onnx", language="Java"),
    EngineSpec("TensorFlow tf.function", "tensorflow", "function", "keras"),
    EngineSpec("Keras predict_on_batch", "tensorflow", "predict_on_batch", "keras"),
    EngineSpec("kbridge ND4J", "kbridge", "nd4j", "bundle", ours=True),
    EngineSpec("kbridge ND4J", "java:KBridgeEngine", "nd4j", "bundle", True, "Java"),
    EngineSpec("stock DL4J", "java:StockEngine", "", "keras2", language="Java"),
)
# What counts as equal in each precision. With 8 bits twice what `kbridge.check` allows before the
# softmax, which magnifies.
_SHARES = {"bfloat16": 0.02, "int8": 0.1}


def _engines(workload: Workload) -> list[EngineSpec]:
    lower = [
        EngineSpec(f"kbridge {name}", "kbridge", f"onednn {name}", "bundle", True, share=share)
        for name, share in _SHARES.items()
        if name in workload.precisions
    ]
    return [*ENGINES, *lower]


def plan(context: Context) -> list[tuple[Workload, tuple[int, ...]]]:
    """Returns which workloads are timed, with which batch sizes."""
    wanted = [
        workload
        for workload in WORKLOADS
        if (workload.name in context.only if context.only else workload.always or context.all)
    ]
    if context.quick:
        return [(w, w.batches[:1]) for w in (wanted if context.only else wanted[:1])]
    more = context.all or context.only
    return [(w, w.batches + (w.more_batches if more else ())) for w in wanted]


def steps(context: Context) -> int:
    """Returns how many steps `run` takes, for the progress bar."""
    return sum(1 + len(batches) for _, batches in plan(context))


def run(context: Context) -> Iterator[Cell]:
    """Gives the cells as they are done."""
    for workload, batches in plan(context):
        with tempfile.TemporaryDirectory() as folder:
            context.tell(f"{workload.title}: preparing")
            models = _prepare(workload, Path(folder), batches)
            context.advance()
            for batch in batches:
                yield from _run(context, workload, batch, Path(folder), models)
                context.advance()


def _run(
    context: Context, workload: Workload, batch: int, folder: Path, models: dict[str, Path | str]
) -> Sequence[Cell]:
    cells = [
        Cell(NAME, workload.title, batch, engine) for engine in context.wanted(_engines(workload))
    ]
    if isinstance(models["keras"], str):
        for cell in cells:
            cell.failure = models["keras"]
        return cells
    measure(
        cells,
        models,
        np.load(folder / f"input{batch}.npy"),
        np.load(folder / f"answer{batch}.npy"),
        context.threads,
        context.timing,
        context.java,
        lambda text: context.tell(f"{workload.title}, batch {batch}: {text}"),
    )
    return cells


def _prepare(workload: Workload, folder: Path, batches: Sequence[int]) -> dict[str, Path | str]:
    """Returns each kind of model file, or why there is none."""
    models: dict[str, Path | str] = {}
    for step, file in FILES.items():
        try:
            run_module("benchmarks.inference.prepare", step, workload.name, folder, *batches)
            models[step] = folder / file
        except EngineFailedError as e:
            models[step] = f"no {step} file: {e}"
    models["keras2"] = _keras2(models["bundle"], folder / "keras2.h5")
    return models


def _keras2(bundle: Path | str, target: Path) -> Path | str:
    """Writes the file for the stock importer: the bundle has a Keras 2 form of most models."""
    if isinstance(bundle, str):
        return bundle
    with h5py.File(bundle) as file:
        if "model_config" not in file.attrs:
            return "Keras 2, which the stock importer reads, cannot say this model"
    shutil.copy(bundle, target)
    with h5py.File(target, "r+") as file:
        # NB: the stock importer refuses files that Keras 3 wrote, whatever their form.
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"] = "2.15.0"
        # NB: it makes initial weights first, and takes minutes for orthogonal ones.
        config = json.loads(file.attrs["model_config"], object_hook=_without_orthogonal)
        file.attrs["model_config"] = json.dumps(config)
    return target


def _without_orthogonal(found: dict[str, Any]) -> dict[str, Any]:
    if found.get("class_name") in ("Orthogonal", "OrthogonalInitializer"):
        return {"class_name": "Zeros", "config": {}}
    return found
