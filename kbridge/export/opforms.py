"""Forms of the operations that the general one in `normalise` does not fit."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
from keras.src.backend.common import dtypes

from kbridge.export.graph import GraphBuilder, Value
from kbridge.export.normalise import (
    OpCall,
    all_axes,
    general,
    normalises,
    operands_of,
    plain,
    positive_axes,
    positive_axis,
    spatial,
)
from kbridge.export.trace import UnsupportedCall

Values = list[Value]


@normalises("MaxPool")
def max_pool(call: OpCall, b: GraphBuilder) -> Values:
    """Integers are pooled as float64, which holds those of up to 53 bits exactly."""
    x = operands_of(call, b)[0]
    if "float" in x.dtype:
        return general(call, b)
    if x.dtype in ("int64", "uint64"):
        raise UnsupportedCall(f"{x.dtype} values are pooled", "Cast them to int32 or a float type.")
    attrs = {k: plain(v) for k, v in call.attrs.items()}
    spatial(call, attrs, x.ndim)
    wide = b.cast(x, "float64")
    pooled = b.emit("MaxPool", [wide], attrs, (call.specs[0][0], "float64"))[0]
    return [b.cast(pooled, x.dtype)]


@normalises("Moments")
def moments(call: OpCall, b: GraphBuilder) -> Values:
    x = operands_of(call, b)[0]
    attrs = {"axes": all_axes(call.attrs["axes"], x.ndim), "keepdims": bool(call.attrs["keepdims"])}
    return b.emit("Moments", [x], attrs, *call.specs)


@normalises("Reshape")
def reshape(call: OpCall, b: GraphBuilder) -> Values:
    """Sizes are those of the result; a -1 stays, since it fits any size."""
    x = operands_of(call, b)[0]
    given = call.attrs["newshape"]
    shape = tuple(call.output.shape)
    given = (given,) if isinstance(given, int) else tuple(given)
    newshape = [-1 if g == -1 else size for g, size in zip(given, shape, strict=True)]
    return b.emit("Reshape", [x], {"newshape": newshape}, (shape, x.dtype))


@normalises("Ravel")
def ravel(call: OpCall, b: GraphBuilder) -> Values:
    x = operands_of(call, b)[0]
    return b.emit("Reshape", [x], {"newshape": [-1]}, *call.specs)


@normalises("Transpose")
def transpose(call: OpCall, b: GraphBuilder) -> Values:
    x = operands_of(call, b)[0]
    axes = call.attrs["axes"]
    axes = list(reversed(range(x.ndim))) if axes is None else positive_axes(list(axes), x.ndim)
    return b.emit("Transpose", [x], {"axes": axes}, *call.specs)


@normalises("Swapaxes")
def swapaxes(call: OpCall, b: GraphBuilder) -> Values:
    x = operands_of(call, b)[0]
    axes = list(range(x.ndim))
    i, j = (positive_axis(call.attrs[name], x.ndim) for name in ("axis1", "axis2"))
    axes[i], axes[j] = axes[j], axes[i]
    return b.emit("Transpose", [x], {"axes": axes}, *call.specs)


@normalises("Moveaxis")
def moveaxis(call: OpCall, b: GraphBuilder) -> Values:
    x = operands_of(call, b)[0]
    source, destination = (
        positive_axes([a] if isinstance(a, int) else list(a), x.ndim)
        for a in (call.attrs["source"], call.attrs["destination"])
    )
    axes = [axis for axis in range(x.ndim) if axis not in source]
    for to, axis in sorted(zip(destination, source, strict=True)):
        axes.insert(to, axis)
    return b.emit("Transpose", [x], {"axes": axes}, *call.specs)


@normalises("ExpandDims")
def expand_dims(call: OpCall, b: GraphBuilder) -> Values:
    x = operands_of(call, b)[0]
    axis = call.attrs["axis"]
    axes = [axis] if isinstance(axis, int) else list(axis)
    axes = sorted(positive_axes(axes, len(call.output.shape)))
    return b.emit("ExpandDims", [x], {"axis": axes}, *call.specs)


@normalises("Squeeze")
def squeeze(call: OpCall, b: GraphBuilder) -> Values:
    x = operands_of(call, b)[0]
    axis = call.attrs["axis"]
    if axis is None:
        axes = [i for i, size in enumerate(x.shape) if size == 1]
    else:
        axes = sorted(positive_axes([axis] if isinstance(axis, int) else list(axis), x.ndim))
    return b.emit("Squeeze", [x], {"axis": axes}, *call.specs)


@normalises("Stack")
def stack(call: OpCall, b: GraphBuilder) -> Values:
    axis = positive_axis(call.attrs["axis"], len(call.output.shape))
    return b.emit("Stack", operands_of(call, b), {"axis": axis}, *call.specs)


@normalises("OneHot", "MultiHot")
def one_hot(call: OpCall, b: GraphBuilder) -> Values:
    if call.attrs.get("sparse"):
        raise UnsupportedCall("a sparse tensor is asked for", "Use sparse=False.")
    x = operands_of(call, b)[0]
    axis = positive_axis(call.attrs["axis"], x.ndim + 1)
    attrs = {
        "num_classes": int(call.attrs["num_classes"]),
        "axis": axis,
        "dtype": call.output.dtype,
    }
    return b.emit(call.name, [x], attrs, *call.specs)


@normalises("Cast", "SaturateCast", "ConvertToTensor")
def cast(call: OpCall, b: GraphBuilder) -> Values:
    if call.attrs.get("sparse") or call.attrs.get("ragged"):
        raise UnsupportedCall("a sparse or ragged tensor is asked for", "Use dense tensors.")
    x = operands_of(call, b)[0]
    name = "Cast" if call.name == "ConvertToTensor" else call.name
    if name == "Cast":
        return [b.cast(x, call.output.dtype)]
    return b.emit(name, [x], {"dtype": call.output.dtype}, *call.specs)


@normalises("Where")
def where(call: OpCall, b: GraphBuilder) -> Values:
    if call.arguments["x1"] is None or call.arguments["x2"] is None:
        raise UnsupportedCall(
            "ops.where with a condition alone has an output whose size depends on values",
            "Give ops.where the two tensors to choose from.",
        )
    condition = b.cast(b.value_of(call.arguments["condition"]), "bool")
    dtype = call.output.dtype
    x1, x2 = (b.cast(b.value_of(call.arguments[n], dtype), dtype) for n in ("x1", "x2"))
    return b.emit("Where", [condition, x1, x2], {}, *call.specs)


@normalises("Clip")
def clip(call: OpCall, b: GraphBuilder) -> Values:
    x = b.cast(operands_of(call, b)[0], call.output.dtype)
    lower, upper = call.attrs["x_min"], call.attrs["x_max"]
    if all(isinstance(bound, (int, float)) for bound in (lower, upper)):
        return b.emit("Clip", [x], {"x_min": plain(lower), "x_max": plain(upper)}, *call.specs)
    lower, upper = (b.cast(b.value_of(bound, x.dtype), x.dtype) for bound in (lower, upper))
    larger = b.emit("Maximum", [x, lower], {}, (np.broadcast_shapes(x.shape, lower.shape), x.dtype))
    return b.emit("Minimum", [larger[0], upper], {}, *call.specs)


@normalises("Take", "TakeAlongAxis")
def take(call: OpCall, b: GraphBuilder) -> Values:
    x = b.value_of(call.arguments["x"])
    indices = b.value_of(call.arguments["indices"], "int32")
    axis = call.attrs["axis"]
    if axis is None:
        x, axis = _flattened(x, b), 0
    attrs = {"axis": positive_axis(axis, x.ndim)}
    return b.emit(call.name, [x, indices], attrs, *call.specs)


@normalises("Argmax", "Argmin", "Cumsum", "Cumprod", "Repeat", "Sort", "Argsort", "Roll")
def along_axis(call: OpCall, b: GraphBuilder) -> Values:
    """On one axis; `axis=None` works on the flattened operand."""
    x = operands_of(call, b)[0]
    attrs = {name: plain(value) for name, value in call.attrs.items()}
    axis = attrs.get("axis")
    if axis is not None:
        attrs["axis"] = positive_axes(axis, x.ndim)
        return b.emit(call.name, [x], attrs, *call.specs)
    flat = _flattened(x, b)
    attrs["axis"] = 0
    shape, dtype = call.specs[0]
    if call.name == "Roll" or attrs.get("keepdims"):
        attrs.pop("keepdims", None)
        inner = flat.shape if call.name == "Roll" else ()
        result = b.emit(call.name, [flat], attrs, (inner, dtype))[0]
        return [b.reshape(result, shape)]
    return b.emit(call.name, [flat], attrs, (shape, dtype))


def _flattened(x: Value, b: GraphBuilder) -> Value:
    size = int(np.prod(x.shape))
    return b.emit("Reshape", [x], {"newshape": [-1]}, ((size,), x.dtype))[0]


@normalises("Flip")
def flip(call: OpCall, b: GraphBuilder) -> Values:
    x = operands_of(call, b)[0]
    axis = call.attrs["axis"]
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    return b.emit("Flip", [x], {"axis": sorted(positive_axes(list(axes), x.ndim))}, *call.specs)


@normalises("Tile")
def tile(call: OpCall, b: GraphBuilder) -> Values:
    x = operands_of(call, b)[0]
    repeats = plain(call.attrs["repeats"])
    repeats = [repeats] if isinstance(repeats, int) else list(repeats)
    repeats = [1] * (x.ndim - len(repeats)) + repeats
    if len(repeats) > x.ndim:
        x = b.reshape(x, (1,) * (len(repeats) - x.ndim) + x.shape)
    return b.emit("Tile", [x], {"repeats": repeats}, *call.specs)


@normalises("Pad")
def pad(call: OpCall, b: GraphBuilder) -> Values:
    x = b.value_of(call.arguments["x"])
    width = [list(map(int, pair)) for pair in call.attrs["pad_width"]]
    width = width * x.ndim if len(width) == 1 else width
    attrs = {"pad_width": width, "mode": call.attrs["mode"]}
    if attrs["mode"] == "constant":
        value = call.arguments["constant_values"]
        attrs["constant_values"] = 0 if value is None else plain(value)
    return b.emit("Pad", [x], attrs, *call.specs)


@normalises("GetItem")
def get_item(call: OpCall, b: GraphBuilder) -> Values:
    x = b.value_of(call.arguments["x"])
    key = call.arguments["key"]
    key = list(key) if isinstance(key, (tuple, list)) else [key]
    tensors = [k for k in key if not isinstance(k, (int, np.integer, slice, type(None), type(...)))]
    if tensors:
        if len(key) == 1:
            return b.emit("Take", [x, b.value_of(key[0], "int32")], {"axis": 0}, *call.specs)
        raise UnsupportedCall("indexing by a tensor among other indices", "Use keras.ops.take.")
    used = sum(1 for k in key if k is not None and k is not Ellipsis)
    rest = [slice(None)] * (x.ndim - used)
    if any(k is Ellipsis for k in key):
        at = next(i for i, k in enumerate(key) if k is Ellipsis)
        key = key[:at] + rest + key[at + 1 :]
    else:
        key = key + rest
    entries, axis = [], 0
    for k in key:
        entries.append(_index(k, x.shape[axis] if k is not None else 1))
        axis += k is not None
    return b.emit("GetItem", [x], {"key": entries}, *call.specs)


def _index(key: Any, size: int) -> dict[str, Any]:
    if key is None:
        return {"newaxis": True}
    if isinstance(key, slice):
        return {"slice": [plain(key.start), plain(key.stop), plain(key.step)]}
    return {"index": int(key)}


@normalises("Slice", "SliceUpdate")
def slice_(call: OpCall, b: GraphBuilder) -> Values:
    starts = call.arguments["start_indices"]
    if not isinstance(starts, (list, tuple)) or not all(
        isinstance(s, builtins.int) for s in starts
    ):
        raise UnsupportedCall("a slice starts at a position given by a tensor", "Use integers.")
    operands = operands_of(call, b)
    attrs = {"start_indices": list(starts)}
    if call.name == "Slice":
        attrs["shape"] = list(call.output.shape)
    return b.emit(call.name, operands, attrs, *call.specs)


@normalises("Arange")
def arange(call: OpCall, b: GraphBuilder) -> Values:
    raise UnsupportedCall("ops.arange with a tensor as a bound", "Use Python integers or shapes.")


@normalises("Full")
def full(call: OpCall, b: GraphBuilder) -> Values:
    shape, dtype = call.specs[0]
    fill = b.cast(b.value_of(call.arguments["fill_value"], dtype), dtype)
    return b.emit("Full", [fill], {"shape": list(shape), "dtype": dtype}, (shape, dtype))


@normalises("ZerosLike", "OnesLike", "EmptyLike", "FullLike")
def like(call: OpCall, b: GraphBuilder) -> Values:
    shape, dtype = call.specs[0]
    fill = call.arguments.get("fill_value", 1 if call.name == "OnesLike" else 0)
    value = b.cast(b.value_of(fill, dtype), dtype)
    return b.emit("Full", [value], {"shape": list(shape), "dtype": dtype}, (shape, dtype))


@normalises("BroadcastTo")
def broadcast_to(call: OpCall, b: GraphBuilder) -> Values:
    x = operands_of(call, b)[0]
    if tuple(x.shape) == tuple(call.output.shape):
        return [x]
    return b.emit("BroadcastTo", [x], {"shape": list(call.output.shape)}, *call.specs)


@normalises("LeftShift", "RightShift")
def shift(call: OpCall, b: GraphBuilder) -> Values:
    """Other names of the same operations."""
    call.name = f"Bitwise{call.name}"
    return general(call, b)


@normalises("Matmul")
def matmul(call: OpCall, b: GraphBuilder) -> Values:
    x1, x2 = (b.value_of(call.arguments[n]) for n in ("x1", "x2"))
    if {x1.dtype, x2.dtype} != {"int8"}:
        x1, x2 = b.cast(x1, call.output.dtype), b.cast(x2, call.output.dtype)
    return b.emit("Matmul", [x1, x2], {}, *call.specs)


@normalises("Einsum")
def einsum(call: OpCall, b: GraphBuilder) -> Values:
    operands = [b.value_of(o) for o in call.arguments["operands"]]
    if {o.dtype for o in operands} != {"int8"}:
        operands = [b.cast(o, call.output.dtype) for o in operands]
    return b.emit("Einsum", operands, {"subscripts": call.attrs["subscripts"]}, *call.specs)


@normalises("Softmax", "LogSoftmax", "Sparsemax")
def softmax(call: OpCall, b: GraphBuilder) -> Values:
    """On one axis or, for a list (None: all axes), jointly on several: moved last, flattened."""
    x = operands_of(call, b)[0]
    axis = call.attrs["axis"]
    if isinstance(axis, int):
        return b.emit(call.name, [x], {"axis": positive_axis(axis, x.ndim)}, *call.specs)
    axes = list(range(x.ndim)) if axis is None else positive_axes(list(axis), x.ndim)
    if len(axes) == 1:
        return b.emit(call.name, [x], {"axis": axes[0]}, *call.specs)
    kept = [i for i in range(x.ndim) if i not in axes]
    order = kept + axes
    moved_shape = tuple(x.shape[i] for i in order)
    moved = b.emit("Transpose", [x], {"axes": order}, (moved_shape, x.dtype))[0]
    flat_shape = (*(x.shape[i] for i in kept), int(np.prod([x.shape[i] for i in axes])))
    flat = b.reshape(moved, flat_shape)
    answer = b.emit(call.name, [flat], {"axis": len(kept)}, (flat_shape, x.dtype))[0]
    back = [order.index(i) for i in range(x.ndim)]
    return b.emit("Transpose", [b.reshape(answer, moved_shape)], {"axes": back}, *call.specs)


@normalises("SparseCategoricalCrossentropy")
def sparse_categorical_crossentropy(call: OpCall, b: GraphBuilder) -> Values:
    """The axis is that of the classes; the labels have it not."""
    operands = operands_of(call, b)
    axis = positive_axis(call.attrs["axis"], operands[1].ndim)
    attrs = {"from_logits": bool(call.attrs["from_logits"]), "axis": axis}
    return b.emit(call.name, operands, attrs, *call.specs)


@normalises("Normalize")
def normalize(call: OpCall, b: GraphBuilder) -> Values:
    """Along axes; None means all of them."""
    x = operands_of(call, b)[0]
    attrs = {name: plain(value) for name, value in call.attrs.items()}
    attrs["axis"] = all_axes(attrs["axis"], x.ndim)
    return b.emit("Normalize", [x], attrs, *call.specs)


@normalises("Isclose")
def isclose(call: OpCall, b: GraphBuilder) -> Values:
    dtype = dtypes.result_type(
        *(getattr(call.arguments[n], "dtype", float) for n in ("x1", "x2")), float
    )
    x1, x2 = (b.cast(b.value_of(call.arguments[n], dtype), dtype) for n in ("x1", "x2"))
    return b.emit("Isclose", [x1, x2], {k: plain(v) for k, v in call.attrs.items()}, *call.specs)


__all__ = ["general"]
