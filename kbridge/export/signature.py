"""What a model takes: its flat inputs with names, and how they nest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import tree

from kbridge import errors
from kbridge.export.trace import InputSpec


@dataclasses.dataclass
class Signature:
    """A model's inputs.

    Attributes:
        inputs: Flat, in the order Keras flattens them.
        pack: Puts a flat list into the structure the model takes.
        structure: That structure as docs/bundle-format.md section 2 writes it.
    """

    inputs: list[InputSpec]
    pack: Callable[[list[Any]], Any]
    structure: Any


def signature_of(model: Any, sample: Any = None) -> Signature:
    """Finds out what a model takes.

    Args:
        model: A built model.
        sample: Inputs as the model takes them; needed for a subclassed model that does not
            tell its input shapes. The first axis is taken for the batch.

    Raises:
        ExportError: The model does not tell and no sample was given.
    """
    functional = functional_of(model)
    if functional is not None:
        struct = functional._inputs_struct
        names = unique_names([tensor.name for tensor in functional.inputs])
        inputs = [
            _input_spec(name, tensor) for name, tensor in zip(names, functional.inputs, strict=True)
        ]
    elif sample is not None:
        struct = sample
        inputs = _specs_of_arrays(sample)
    else:
        struct = _built_struct(model)
        inputs = _specs_of_shapes(struct, model)
    single = not tree.is_nested(struct)
    return Signature(
        inputs,
        lambda flat: flat[0] if single else tree.pack_sequence_as(struct, flat),
        structure_json(struct),
    )


def functional_of(model: Any) -> Any:
    """Returns the functional graph inside a sequential or functional model, or None."""
    if isinstance(model, keras.Sequential):
        return model._functional
    return (
        model
        if isinstance(getattr(model, "_inputs_struct", None), object)
        and hasattr(model, "_inputs_struct")
        else None
    )


def structure_json(struct: Any) -> Any:
    """A nested structure with the index of each leaf; ``"*"`` for a single leaf."""
    if not tree.is_nested(struct):
        return "*"
    indices = tree.pack_sequence_as(struct, list(range(len(tree.flatten(struct)))))
    return _lists(indices)


def _lists(struct: Any) -> Any:
    if isinstance(struct, dict):
        return {key: _lists(value) for key, value in struct.items()}
    if isinstance(struct, (list, tuple)):
        return [_lists(value) for value in struct]
    return struct


def _input_spec(name: str, tensor: Any) -> InputSpec:
    if tensor.sparse or tensor.ragged:
        raise errors.UnsupportedModelError(
            [
                errors.Problem(
                    name,
                    "InputLayer",
                    f"the input is {'sparse' if tensor.sparse else 'ragged'}",
                    "Make the input dense: keras.Input(..., sparse=False, ragged=False).",
                )
            ]
        )
    operation = tensor._keras_history.operation
    optional = bool(getattr(operation, "optional", False))
    return InputSpec(name, tuple(tensor.shape), tensor.dtype, optional)


def unique_names(names: list[str]) -> list[str]:
    """Returns the names with a number behind those that came before."""
    found: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in found:
            candidate, number = f"{name}_{number}", number + 1
        found.append(candidate)
    return found


def _leaf_names(struct: Any) -> list[str]:
    if isinstance(struct, dict):
        return [".".join(map(str, path)) for path, _ in tree.flatten_with_path(struct)]
    count = len(tree.flatten(struct))
    return ["input"] if count == 1 else [f"input_{i}" for i in range(count)]


def _specs_of_arrays(sample: Any) -> list[InputSpec]:
    arrays = [np.asarray(array) for array in tree.flatten(sample)]
    specs = []
    for name, array in zip(_leaf_names(sample), arrays, strict=True):
        dtype = keras.backend.standardize_dtype(array.dtype)
        # NB: Keras computes in floatx: a float64 sample is what Python makes of plain numbers.
        dtype = keras.config.floatx() if dtype == "float64" else dtype
        specs.append(InputSpec(name, (None, *array.shape[1:]), dtype))
    return specs


def _built_struct(model: Any) -> Any:
    if not model.built:
        raise errors.ExportError(
            f"Expected a built model. Received: {model.name!r} ({type(model).__name__}), which has "
            "no weights yet. Call it once on data, or pass sample= to export."
        )
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    if len(shapes) != 1:
        raise errors.ExportError(
            f"Expected to know the inputs of {model.name!r} ({type(model).__name__}). Received: a "
            "subclassed model, which does not tell them. Pass a sample batch: "
            "kbridge.export(model, path, sample=x)."
        )
    shape = next(iter(shapes.values()))
    one = isinstance(shape, (tuple, list)) and all(isinstance(s, (int, type(None))) for s in shape)
    return _Shape(shape) if one else shape


class _Shape:
    """The shape of a model's only input. NB: a plain tuple would count as several inputs."""

    def __init__(self, sizes: Any):
        self.sizes = tuple(sizes)


def _specs_of_shapes(struct: Any, model: Any) -> list[InputSpec]:
    if isinstance(struct, _Shape):
        return [InputSpec("input", (None, *struct.sizes[1:]), model.compute_dtype)]
    raise errors.ExportError(
        f"Expected one input shape of {model.name!r}. Received: {struct}. A subclassed model with "
        "several inputs does not tell their dtypes; pass sample= to export."
    )
