"""Sample inputs, and what native Keras answers to them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import tree

from kbridge import errors

SEED = 20240229
BATCH = 2

# Sizes for dimensions that are free besides the batch.
_FREE_SIZE = 7
# Operations a vocabulary index may pass through on its way to the table it indexes.
_PASSED = {"Cast", "Reshape", "ExpandDims", "Squeeze"}


def sample_inputs(
    spec: dict[str, Any], batch: int = BATCH, seed: int = SEED
) -> dict[str, np.ndarray]:
    """Makes seeded random inputs that suit a model.

    Floats are normally distributed, so negative values are among them. Integers that index a table
    (an embedding) stay inside it; other integers are small. Free sizes other than the batch are 7,
    raised where the model has to have more.

    Args:
        spec: A bundle's spec.
        batch: Size of unknown first dimensions.
        seed: Seed of the random numbers.

    Returns:
        One array per input name.
    """
    rng = np.random.default_rng(seed)
    bounds = _index_bounds(spec)
    samples = {}
    for entry in spec["inputs"]:
        shape = [
            size if size is not None else (batch if axis == 0 else _FREE_SIZE)
            for axis, size in enumerate(entry["shape"])
        ]
        samples[entry["name"]] = _random(rng, shape, entry["dtype"], bounds.get(entry["name"], 10))
    return samples


def _random(rng: np.random.Generator, shape: list[int], dtype: str, bound: int) -> np.ndarray:
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in dtype:
        return rng.integers(0, min(bound, 100_000), shape).astype(dtype)
    if dtype == "string":
        raise errors.ExportError(
            "Expected inputs of numbers. Received: an input of strings. Convert text to numbers "
            "before the model (keras.layers.StringLookup or TextVectorization, run in Python)."
        )
    values = rng.standard_normal(shape)
    if dtype == "bfloat16":
        import ml_dtypes

        return values.astype(ml_dtypes.bfloat16)
    return values.astype(dtype)


def _index_bounds(spec: dict[str, Any]) -> dict[str, int]:
    """The size of the smallest table each input indexes."""
    origin = {entry["name"]: entry["name"] for entry in spec["inputs"]}
    sizes = {**spec["weights"], **spec["constants"]}
    bounds: dict[str, int] = {}
    for node in spec["graphs"]["inference"]["nodes"]:
        inputs = node["inputs"]
        if node["op"] in _PASSED and inputs[0] in origin:
            origin[node["outputs"][0]["name"]] = origin[inputs[0]]
        if node["op"] == "Take" and inputs[1] in origin and inputs[0] in sizes:
            name = origin[inputs[1]]
            size = sizes[inputs[0]]["shape"][node["attrs"]["axis"]]
            bounds[name] = min(size, bounds.get(name, size))
    return bounds


def native_outputs(model: Any, inputs: Any) -> list[np.ndarray]:
    """Runs native Keras in inference mode and returns its flat outputs.

    Args:
        model: A live model.
        inputs: Arrays in the structure the model takes.

    Raises:
        ExportError: Keras itself fails on these inputs.
    """
    # NB: called, not `predict`: a call compiles nothing, which for one batch costs far more than
    # it saves.
    try:
        tensors = tree.map_structure(keras.ops.convert_to_tensor, inputs)
        # NB: without a trace in the model: recurrent dropout moves its seeds on at inference too.
        with _without_gradients(), keras.StatelessScope():
            outputs = model(tensors, training=False)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, AttributeError) as e:
        raise _native_failure(e) from e
    return [np.asarray(keras.ops.convert_to_numpy(t)) for t in tree.flatten(outputs)]


def _native_failure(e: Exception) -> errors.ExportError:
    first = (str(e).strip().splitlines() or [""])[0]
    return errors.ExportError(
        "Expected native Keras to run the model on a sample, to store what it answers. "
        f"Received: {type(e).__name__}: {first}. Give inputs that the model takes: "
        "kbridge.export(model, path, sample=...)."
    )


def _without_gradients() -> Any:
    import contextlib

    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
