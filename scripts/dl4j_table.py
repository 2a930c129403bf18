#!/usr/bin/env python3
"""Compares DL4J networks, made by kbridge and by DL4J's own importer, over the layer suite.

Writes the table in docs/dl4j.md. Each case of tests/layers is exported; then the bundle becomes a
`ComputationGraph` with `KBridgeModel.toComputationGraph()`, and with `KerasModelImport`, which
reads the Keras 2 part of the same file. Both answer inputs that neither has seen.

    python scripts/dl4j_table.py [--layers NAME ...]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import h5py  # noqa: E402
import numpy as np  # noqa: E402

TARGET = ROOT / "docs" / "dl4j.md"
BEGIN, END = "<!-- table: scripts/dl4j_table.py -->", "<!-- end of the table -->"
EQUAL, DIFFERENT, FAILS, REFUSED = "equal", "different", "fails", "refused"
HEADER = """
| layer | cases | kbridge: equal | kbridge: refused | stock: equal | stock: wrong | stock: fails |
| --- | --- | --- | --- | --- | --- | --- |
"""


def start_jvm(*sets: str) -> None:
    """Starts the JVM with DL4J's networks on its class path, or its importer as well."""
    from kbridge.jvm import host, jars

    extra = [a for a in jars.artifacts() if a.set in sets]
    host.configure(classpath=[jars.dl4j_jar(), *jars.resolve(extra)])
    host.start()


def to_nd4j(array: np.ndarray) -> Any:
    """Copies an array as float32, or as float64 if it is that."""
    import jpype

    nd4j = jpype.JClass("org.nd4j.linalg.factory.Nd4j")
    double = array.dtype == "float64"
    kind, dtype = (jpype.JDouble, "float64") if double else (jpype.JFloat, "float32")
    flat = jpype.JArray(kind)(np.asarray(array, dtype).ravel())
    return nd4j.createFromArray(flat).reshape(jpype.JArray(jpype.JLong)(array.shape))


def to_numpy(array: Any) -> np.ndarray:
    """Copies an ND4J array as float32, or as float64 if it is that."""
    import jpype

    if array is None:
        raise ValueError("no answer")
    flat = array.dup("c").reshape(jpype.JArray(jpype.JLong)([array.length()]))
    if str(array.dataType()) == "DOUBLE":
        found = np.array(flat.toDoubleVector(), "float64")
    else:
        found = np.array(flat.toFloatVector(), "float32")
    return found.reshape([int(size) for size in array.shape()])


def answers(network: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """What a network answers."""
    import jpype

    array = jpype.JClass("org.nd4j.linalg.api.ndarray.INDArray")
    feeds = [to_nd4j(x) for x in inputs]
    if type(network).__name__.endswith("MultiLayerNetwork"):
        return [to_numpy(network.output(feeds[0], False))]
    return [to_numpy(x) for x in network.output(False, jpype.JArray(array)(feeds))]


def ours(bundle: Path) -> Any:
    """The network that kbridge makes."""
    import jpype

    path = jpype.JClass("java.nio.file.Paths").get(str(bundle))
    with jpype.JClass("io.kbridge.KBridge").load(path) as model:
        return model.toComputationGraph()


def stock(bundle: Path) -> Any:
    """The network that DL4J's importer makes."""
    import jpype

    target = bundle.with_suffix(".keras2.h5")
    shutil.copy(bundle, target)
    with h5py.File(target, "r+") as file:
        if "model_config" not in file.attrs:
            raise ValueError("Keras 2 cannot say this model")
        # NB: the importer refuses files that Keras 3 wrote, whatever their form.
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"] = "2.15.0"
        sequential = json.loads(file.attrs["model_config"])["class_name"] == "Sequential"
    importer = jpype.JClass("org.deeplearning4j.nn.modelimport.keras.KerasModelImport")
    read = importer.importKerasModelAndWeights
    if sequential:
        read = importer.importKerasSequentialModelAndWeights
    return read(str(target), False)


def same(found: list[np.ndarray], wanted: list[np.ndarray]) -> bool:
    """Whether answers are Keras's."""
    return len(found) == len(wanted) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)
        for a, b in zip(found, wanted, strict=True)
    )


def outcome(make: Any, bundle: Path, inputs: list, wanted: list, ncw: bool) -> tuple[str, str]:
    """Makes a network and compares its answers; also tells why, in a few words."""
    import jpype

    try:
        network = make(bundle)
    except (jpype.JException, ValueError) as e:
        told = "Received layers" in str(e)
        return (REFUSED if told else FAILS), str(e)[:2000]
    forms = [inputs]
    if ncw:
        # NB: what the importer makes of sequences may want features before time.
        forms.append([np.swapaxes(x, 1, 2) if x.ndim == 3 else x for x in inputs])
    why = ""
    for form in forms:
        try:
            found = answers(network, form)
        except (jpype.JException, ValueError) as e:
            why = str(e)[:300]
            continue
        turned = [np.swapaxes(x, 1, 2) if x.ndim == 3 else x for x in found]
        if same(found, wanted) or (ncw and same(turned, wanted)):
            return EQUAL, ""
        why = "other numbers"
    return (DIFFERENT if why == "other numbers" else FAILS), why


def results(names: list[str]) -> Iterator[tuple[Any, dict[str, tuple[str, str]]]]:
    """What becomes of each case of the layer suite."""
    import keras

    import kbridge
    from tests.layers.harness import _packed
    from tests.layers.test_layer_coverage import all_cases

    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(all_cases()):
            if case.refusal or case.inputs == () or (names and case.layer not in names):
                continue
            # NB: a name of its own, since the importer leaves files open that it fails on.
            bundle = Path(folder) / f"case{number}.h5"
            model = case.build()
            kbridge.export(model, bundle, sample=_packed(model, case.data(0)))
            inputs = case.data(1)
            found = keras.tree.flatten(model(_packed(model, inputs), training=False))
            wanted = [keras.ops.convert_to_numpy(x).astype("float32") for x in found]
            yield (
                case,
                {
                    "kbridge": outcome(ours, bundle, inputs, wanted, False),
                    "stock": outcome(stock, bundle, inputs, wanted, True),
                },
            )


def main() -> None:
    """Writes the table, or prints what becomes of some layers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", nargs="*", default=[], help="print these only")
    parser.add_argument("--details", type=Path, help="a file for what becomes of each case")
    options = parser.parse_args()
    start_jvm("dl4j", "stock")
    counts: dict[str, Counter] = defaultdict(Counter)
    details = open(options.details or os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    with details:
        for case, found in results(options.layers):
            counts[case.layer]["cases"] += 1
            for side, (what, why) in found.items():
                counts[case.layer][side, what] += 1
                print(f"{side:8} {what:10} {case.id}  {why!r}", file=details, flush=True)
    lines = [_line(layer, counts[layer]) for layer in sorted(counts) if _is_made(counts[layer])]
    total: Counter = sum(counts.values(), Counter())
    table = HEADER + "".join(lines) + _line("**all**", total)
    if options.layers:
        print(table)
        return
    text = TARGET.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    TARGET.write_text(before + BEGIN + "\n" + table + "\n" + END + rest.partition(END)[2])


def _is_made(count: Counter) -> bool:
    made = ("kbridge", EQUAL), ("stock", EQUAL), ("stock", DIFFERENT)
    return any(count[key] for key in made)


def _line(layer: str, count: Counter) -> str:
    cells = [
        count["kbridge", EQUAL],
        count["kbridge", REFUSED],
        count["stock", EQUAL],
        count["stock", DIFFERENT],
        count["stock", FAILS] + count["stock", REFUSED],
    ]
    wrong = count["kbridge", DIFFERENT] + count["kbridge", FAILS]
    if wrong:
        layer += f" (kbridge: {wrong} WRONG)"
    return f"| {layer} | {count['cases']} | " + " | ".join(str(c or "") for c in cells) + " |\n"


if __name__ == "__main__":
    main()
