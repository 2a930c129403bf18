"""Reads stored arrays in the order an old Keras wrote them and gives them to Keras 3 layers.

Keras wrote, per top-level layer, first the trainable arrays of everything inside, then the others.
`Slots` says for each innermost layer how many of each kind the writer had; converters turn a
layer's own list into what Keras 3 holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kbridge.errors import BundleFormatError
from kbridge.export.legacy.allocation import set_value
from kbridge.export.legacy.context import Context
from kbridge.export.legacy.graph import CONTAINERS, Built
from kbridge.export.legacy.registry import Config, converts_weights, weight_converter

Arrays = list[np.ndarray]


@dataclass
class Slot:
    """One innermost layer and what the writer stored for it.

    Attributes:
        layer: The Keras 3 layer whose variables are set.
        config: Its stored config.
        class_name: Its stored class.
        trainable: Number of arrays stored as trainable.
        others: Number of arrays stored as not trainable.
        context: The reading.
    """

    layer: Any
    config: Config
    class_name: str
    trainable: int
    others: int
    context: Context


def slots_of(built: Built, context: Context, trainable: bool = True) -> Iterator[Slot]:
    """Yields the innermost layers of a layer of the file, in the order its arrays are stored."""
    config = built.config if isinstance(built.config, dict) else {}
    trainable = trainable and config.get("trainable", True) is not False
    if built.class_name in CONTAINERS:
        for child in built.children:
            yield from slots_of(child, context, trainable)
    elif built.class_name == "Bidirectional":
        inner = built.children[0]
        for layer in (built.layer.forward_layer, built.layer.backward_layer):
            yield _slot(layer, inner.config, inner.class_name, trainable, context)
    elif built.class_name == "TimeDistributed":
        yield from slots_of(built.children[0], context, trainable)
    elif built.layer is not None:
        yield _slot(built.layer, config, built.class_name, trainable, context)


def _slot(layer: Any, config: Config, class_name: str, trainable: bool, context: Context) -> Slot:
    total = len(layer.weights)
    # NB: a frozen layer's variables are not trainable any more, but keep their order.
    free = sum(v.trainable for v in layer.weights) if trainable and layer.trainable else 0
    others = total - free
    if context.major == 1 and config.get("consume_less", "cpu") != "gpu":
        gates = {"LSTM": 4, "GRU": 3, "ConvLSTM2D": 4}.get(class_name)
        if gates:
            free, others = (3 * gates, 0) if free else (0, 3 * gates)
    if class_name == "ConvLSTM2D" and context.major == 1:
        free, others = (12, 0) if layer.trainable else (0, 12)
    return Slot(layer, config, class_name, free, others, context)


def assign(built: Built, read: Arrays, context: Context) -> None:
    """Gives one group's arrays to the layers they are of.

    Args:
        built: The layer of the file.
        read: Its arrays, in stored order.
        context: The reading.

    Raises:
        BundleFormatError: If counts or shapes do not fit.
    """
    slots = list(slots_of(built, context))
    expected = sum(slot.trainable + slot.others for slot in slots)
    if len(read) != expected:
        raise BundleFormatError(
            f"Expected {expected} stored weights for layer '{built.name}' ({built.class_name}). "
            f"Received: {len(read)} with shapes {[a.shape for a in read]}. The file's weights do "
            "not belong to its configuration."
        )
    free = iter(read[: sum(slot.trainable for slot in slots)])
    fixed = iter(read[sum(slot.trainable for slot in slots) :])
    for slot in slots:
        own = [next(free) for _ in range(slot.trainable)]
        own += [next(fixed) for _ in range(slot.others)]
        set_arrays(slot, own)


def set_arrays(slot: Slot, arrays: Arrays) -> None:
    """Converts one layer's arrays and sets its variables; every shape is checked first.

    Raises:
        BundleFormatError: If a shape does not fit.
    """
    variables = ordered_variables(slot.layer)
    convert = weight_converter(type(slot.layer).__name__)
    if convert is not None and slot.context.major < 3:
        arrays = convert(arrays, slot)
    wanted = [tuple(v.shape) for v in variables]
    if [a.shape for a in arrays] != wanted:
        raise BundleFormatError(
            f"Expected weights of shapes {wanted} for layer '{slot.layer.name}' "
            f"({slot.class_name}). Received: {[a.shape for a in arrays]}. The file's weights do "
            "not belong to its configuration."
        )
    for variable, array in zip(variables, arrays, strict=True):
        set_value(variable, array)
    if isinstance(slot.layer, keras.layers.Normalization):
        slot.layer.finalize_state()


def ordered_variables(layer: Any) -> list[Any]:
    """Returns a layer's variables as old versions stored them: trainable ones first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _data_format(slot: Slot) -> str:
    return getattr(slot.layer, "data_format", None) or getattr(
        getattr(slot.layer, "cell", None), "data_format", "channels_last"
    )


def flip(kernel: np.ndarray, rank: int) -> np.ndarray:
    """Turns a kernel of true convolution into one of correlation: every spatial axis reversed."""
    return np.ascontiguousarray(kernel[(slice(None, None, -1),) * rank])


def _moved(kernel: np.ndarray, *axes: int) -> np.ndarray:
    return np.ascontiguousarray(np.transpose(kernel, axes))


@converts_weights("Conv1D")
def conv_1d(arrays: Arrays, slot: Slot) -> Arrays:
    """Keras 1 stored (length, 1, in, out), and before 1.2 (out, in, length, 1)."""
    kernel = arrays[0]
    if kernel.ndim == 4:
        length, filters = slot.layer.kernel_size[0], slot.layer.filters
        if kernel.shape[:2] != (length, 1) or kernel.shape[3] != filters:
            kernel = _moved(kernel, 2, 3, 1, 0)
        kernel = kernel[:, 0]
    return [flip(kernel, 1) if slot.context.flips_kernels else kernel, *arrays[1:]]


def _spatial_first(kernel: np.ndarray, rank: int) -> np.ndarray:
    """Moves (out, in, ...) to (..., in, out)."""
    return _moved(kernel, *range(2, 2 + rank), 1, 0)


@converts_weights("Conv2D", "Conv3D")
def conv(arrays: Arrays, slot: Slot) -> Arrays:
    """Keras 1 stored "th" kernels as (out, in, ...)."""
    kernel, rank = arrays[0], slot.layer.rank
    if slot.context.major == 1 and _data_format(slot) == "channels_first":
        kernel = _spatial_first(kernel, rank)
    return [flip(kernel, rank) if slot.context.flips_kernels else kernel, *arrays[1:]]


@converts_weights("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def conv_transpose(arrays: Arrays, slot: Slot) -> Arrays:
    """Keras 1 stored kernels as (rows, cols, in, out), or (in, out, rows, cols) for "th"."""
    kernel, rank = arrays[0], slot.layer.rank
    if slot.context.major == 1:
        first = _data_format(slot) == "channels_first"
        kernel = _moved(kernel, 2, 3, 0, 1) if first else _moved(kernel, 0, 1, 3, 2)
    return [flip(kernel, rank) if slot.context.flips_kernels else kernel, *arrays[1:]]


@converts_weights("SeparableConv2D")
def separable(arrays: Arrays, slot: Slot) -> Arrays:
    """Keras 1 "th": (multiplier, in, rows, cols) and (out, in, 1, 1).

    NB: Keras 2 on Theano flipped depthwise kernels itself before convolving, so they are stored as
    correlation kernels already; Keras 1 on Theano had no separable convolution.
    """
    if slot.context.major == 1 and _data_format(slot) == "channels_first":
        return [_moved(arrays[0], 2, 3, 1, 0), _moved(arrays[1], 2, 3, 1, 0), *arrays[2:]]
    return arrays


def _gates(arrays: Arrays, order: tuple[int, ...]) -> Arrays:
    """Joins arrays stored per gate, three each, into kernel, recurrent kernel and bias."""
    return [np.concatenate([arrays[3 * gate + i] for gate in order], axis=-1) for i in range(3)]


def _per_gate(matrix: np.ndarray, gates: int, change: Callable) -> np.ndarray:
    return np.hstack([change(part) for part in np.hsplit(matrix, gates)])


def _from_cudnn(arrays: Arrays, gates: int) -> Arrays:
    """Undoes cuDNN's layout: input kernels in Fortran order, recurrent kernels transposed."""
    kernel = _per_gate(arrays[0], gates, lambda k: k.T.reshape(k.shape, order="F"))
    return [kernel, _per_gate(arrays[1], gates, lambda k: k.T), arrays[2]]


@converts_weights("LSTM")
def lstm(arrays: Arrays, slot: Slot) -> Arrays:
    """Keras 1 stored gates apart, in the order i, c, f, o; cuDNN has two biases to be added."""
    if len(arrays) == 12:
        return _gates(arrays, (0, 2, 1, 3))
    if len(arrays) == 3 and arrays[2].shape == (8 * arrays[1].shape[0],):
        kernel, recurrent, bias = _from_cudnn(arrays, 4)
        return [kernel, recurrent, np.sum(np.split(bias, 2), axis=0)]
    return arrays


@converts_weights("GRU")
def gru(arrays: Arrays, slot: Slot) -> Arrays:
    """Keras 1 stored gates apart, in Keras 3's order; cuDNN has two biases in a row."""
    if len(arrays) == 9:
        return _gates(arrays, (0, 1, 2))
    if len(arrays) == 3 and arrays[2].shape == (6 * arrays[1].shape[0],):
        kernel, recurrent, bias = _from_cudnn(arrays, 3)
        return [kernel, recurrent, bias.reshape(2, -1)]
    return arrays


@converts_weights("ConvLSTM2D")
def conv_lstm(arrays: Arrays, slot: Slot) -> Arrays:
    """Gates apart in Keras 1, "th" kernels as (out, in, ...)."""
    if len(arrays) == 12:
        first = _data_format(slot) == "channels_first"
        if first:
            arrays = [_spatial_first(a, 2) if a.ndim == 4 else a for a in arrays]
        arrays = _gates(arrays, (0, 2, 1, 3))
    if slot.context.flips_kernels:
        arrays = [flip(a, 2) if a.ndim == 4 else a for a in arrays]
    return arrays


def note_flips(context: Context, built: Built) -> None:
    """Says once that kernels were flipped."""
    kinds = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "ConvLSTM2D")
    if context.flips_kernels and any(
        type(slot.layer).__name__ in kinds for slot in slots_of(built, context)
    ):
        context.note("convolution kernels were flipped: Theano stored those of true convolution")
