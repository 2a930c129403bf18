#!/usr/bin/env python3
"""Writes docs/support.md: each Keras layer and operation, what runs it and which case shows that.

Nothing in it is written by hand: layers come from keras.layers, the lowering rules and the layer
suite's cases; operations from the Java runtime's registry and the op suite's cases. Run it after
adding a layer's case, a rule or a mapping; a test fails while the page is out of date.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "support.md"
for path in (ROOT / "tests" / "ops", ROOT):
    sys.path.insert(0, str(path))
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

HEADER = """\
<!-- DO NOT EDIT: written by scripts/support_table.py. -->
# What is supported

Keras {keras}. Every line below is backed by a test that compares the JVM with native Keras.

## Layers

*traced*: the layer's own `call` is run on symbolic tensors and written down. *rule*: a lowering
rule says what it computes. *identity*: at inference the layer gives what it gets; its arguments
are kept. *refused*: the export says no, by name, and what to do.
Other layers, your own among them, are traced.

| layer | how | operations it becomes | parity cases |
| --- | --- | --- | --- |
"""
OPS = """
## Operations

The names are those of the classes in `keras.src.ops`. Operations that are not in the table are
either lowered to these when the model is exported, or refused by name then.

| operation | run by | with ND4J's | with oneDNN's | a case that shows it |
| --- | --- | --- | --- | --- |
"""
# The families of operations that are no `keras.ops`.
STEPS_ONLY = ("Gradients", "Training")
GRADIENTS = """
## Operations of gradients

Keras has no such operations; a training step needs them. The gradients that they compute are
compared with TensorFlow's, random numbers (`nd4j.Training`) number by number, too.

| operation | run by |
| --- | --- |
"""
FOOTER = """
Loops and branches (`Scan`, `While`, `Cond`, `Switch`) are run by `io.kbridge.plan.control`, and
compared in the suite of recurrent layers.

With `stateful=True` recurrent layers keep their states as Keras does: see *Stateful layers* in
[training.md](training.md).
"""


def traced_ops(model: Any, sample: Any) -> set[str]:
    """The operations of a model's graph."""
    import keras

    from kbridge.export import exporter, metadata, spec
    from kbridge.export.signature import signature_of

    signature = signature_of(model, sample)
    trace = exporter.trace_inference(model, signature, metadata.weight_names(model), [])
    outputs = keras.tree.flatten(trace.output_structure)
    graphs = spec.live_graphs(trace, outputs)
    return {node.op for graph in graphs.values() for node in graph.nodes}


def layer_lines() -> Iterator[str]:
    """The lines of the layers' table."""
    from kbridge.export import registry, rules
    from tests.layers.harness import public_layers
    from tests.layers.test_layer_coverage import FOREIGN, all_cases

    rules.load()
    counts = Counter(case.layer for case in all_cases() if case.refusal is None)
    for name, cls in public_layers().items():
        rule = registry.rule_for(object.__new__(cls))
        if name in FOREIGN or (rule is not None and rule.__name__.startswith("refuse_")):
            yield f"| {name} | refused | | {counts[name] or ''} |"
            continue
        cases = [
            c for c in all_cases() if c.layer == name and c.refusal is None and c.model is None
        ]
        ops = set().union(*(traced_ops(case.build(), None) for case in cases[:3]), set())
        # NB: a cast is Keras's own of bytes to floats, in front of the layer.
        how = "identity" if ops <= {"Cast"} else "traced" if rule is None else "rule"
        yield f"| {name} | {how} | {' '.join(sorted(ops))} | {counts[name]} |"


def mappings() -> dict[str, str]:
    """The Java class that maps each operation."""
    import jpype

    from kbridge.jvm import host

    host.start()
    registry = jpype.JClass("io.kbridge.plan.OpRegistry")
    loader = jpype.JClass("java.lang.Class").forName("io.kbridge.plan.OpRegistry").getClassLoader()
    found = {}
    services = jpype.JClass("java.util.ServiceLoader")
    for family in services.load(jpype.JClass("io.kbridge.plan.OpMappings"), loader):
        one = registry()
        one.add(family)
        where = str(family.getClass().getName()).removeprefix("io.kbridge.plan.")
        if where.startswith("nd4j."):
            found.update({str(name): where for name in one.names()})
    return found


def first_cases() -> dict[str, tuple[str, Any]]:
    """The first case of the op suite that has each operation, and its name."""
    found: dict[str, tuple[str, Any]] = {}
    for module in pkgutil.iter_modules([str(ROOT / "tests" / "ops")]):
        if not module.name.startswith("test_"):
            continue
        for case in getattr(importlib.import_module(module.name), "CASES", []):
            for op in sorted(traced_ops(case.model(), list(case.inputs))):
                found.setdefault(op, (f"{module.name}: {case.name}", case))
    return found


def implementations(op: str, case: Any, engine: str) -> str:
    """What computes an operation in a case: operations of ND4J, or a primitive of oneDNN."""
    import kbridge

    if case is None:
        return ""

    library = {"nd4j": "ND4J ", "onednn": "oneDNN "}[engine]
    with kbridge.load(case.bundle, engine=engine) as model:
        inputs = list(case.inputs) if len(case.inputs) > 1 else case.inputs[0]
        steps = model.plan_steps(inputs)
    found = {
        step["implementation"].removeprefix(library)
        for step in steps
        if op in step["ops"].split("+") and step["implementation"].startswith(library)
    }
    # NB: what follows a primitive's name is the code that suits the CPU at hand.
    names = {n if engine == "nd4j" else n.split()[0] for one in found for n in one.split(", ")}
    return ", ".join(sorted(names))


def op_line(op: str, where: str, name: str, case: Any) -> str:
    """The line of one operation."""
    cells = (op, where, *(implementations(op, case, e) for e in ("nd4j", "onednn")), name)
    return f"| {' | '.join(cells)} |"


def render() -> str:
    """The page."""
    import keras

    cases = first_cases()
    mapped = sorted(mappings().items())
    lines = [
        op_line(op, where, *cases.get(op, ("", None)))
        for op, where in mapped
        if not where.endswith(STEPS_ONLY)
    ]
    gradients = [f"| {op} | {where} |" for op, where in mapped if where.endswith(STEPS_ONLY)]
    layers = "\n".join(layer_lines())
    return (
        HEADER.format(keras=keras.version())
        + layers
        + "\n"
        + OPS
        + "\n".join(lines)
        + "\n"
        + GRADIENTS
        + "\n".join(gradients)
        + "\n"
        + FOOTER
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        from tests.conftest import SHARED_FOLDER

        os.environ[SHARED_FOLDER] = folder
        TARGET.write_text(render(), encoding="utf-8")
    print(f"wrote {TARGET}")
