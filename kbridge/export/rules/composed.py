"""Operations that are said in others of `keras.ops`, by the formulas of the TensorFlow backend."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
from keras import ops
from keras.src import backend
from keras.src.ops import image, math
from keras.src.ops import numpy as knp
from keras.src.ops.einops import Rearrange

from kbridge.export.normalise import positive_axis
from kbridge.export.registry import lowers
from kbridge.export.tracing import UnsupportedCall


@lowers(Rearrange, image.CropImages, image.PadImages, math.CDist)
def lower_own_call(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Keras itself writes these with `keras.ops`."""
    return op.call(*args, **kwargs)


@lowers(knp.Rot90)
def lower_rot90(op: Any, array: Any) -> Any:
    """Quarter turns are flips and transpositions."""
    first, second = (positive_axis(axis, len(array.shape)) for axis in op.axes)
    turns = op.k % 4
    if turns == 0:
        return array
    if turns == 2:
        return ops.flip(ops.flip(array, first), second)
    if turns == 1:
        return ops.swapaxes(ops.flip(array, second), first, second)
    return ops.flip(ops.swapaxes(array, first, second), second)


@lowers(knp.Fliplr)
def lower_fliplr(op: Any, x: Any) -> Any:
    """Along the second axis."""
    return ops.flip(x, 1)


@lowers(knp.Flipud)
def lower_flipud(op: Any, x: Any) -> Any:
    """Along the first axis."""
    return ops.flip(x, 0)


@lowers(knp.Average)
def lower_average(op: Any, x: Any, weights: Any = None) -> Any:
    """A mean, or a sum by weights; those of one axis are spread over the others."""
    if weights is None:
        return ops.mean(ops.cast(x, backend.result_type(x.dtype, float)), axis=op.axis)
    weights = ops.convert_to_tensor(weights)
    dtype = backend.result_type(x.dtype, weights.dtype, float)
    x, weights = ops.cast(x, dtype), ops.cast(weights, dtype)
    if op.axis is None or len(weights.shape) == len(x.shape):
        total = ops.sum(weights, axis=op.axis)
        return ops.divide(ops.sum(ops.multiply(x, weights), axis=op.axis), total)
    axis = positive_axis(op.axis, len(x.shape))
    shape = [x.shape[axis] if i == axis else 1 for i in range(len(x.shape))]
    weighted = ops.multiply(x, ops.reshape(weights, shape))
    return ops.divide(ops.sum(weighted, axis=axis), ops.sum(weights))


@lowers(knp.BitwiseInvert, knp.BitwiseNot)
def lower_bitwise_not(op: Any, x: Any) -> Any:
    """All bits, the sign's too, are turned."""
    if x.dtype == "bool":
        return ops.logical_not(x)
    ones = -1 if x.dtype.startswith("int") else int(np.iinfo(x.dtype).max)
    return ops.bitwise_xor(x, np.asarray(ones, x.dtype))


@lowers(knp.Cbrt)
def lower_cbrt(op: Any, x: Any) -> Any:
    """A power of the magnitude; the sign stays."""
    dtype = {"int64": "float64"}.get(x.dtype, x.dtype if "float" in x.dtype else backend.floatx())
    x = ops.cast(x, dtype)
    return ops.multiply(ops.sign(x), ops.power(ops.absolute(x), 1.0 / 3.0))


@lowers(knp.Diagflat)
def lower_diagflat(op: Any, x: Any) -> Any:
    """A matrix with all elements on a diagonal."""
    return ops.diag(ops.reshape(x, (-1,)), op.k)


@lowers(knp.Hsplit)
def lower_hsplit(op: Any, x: Any) -> Any:
    """Along the second axis; along the only one of a vector."""
    return ops.split(x, op.indices_or_sections, axis=min(1, len(x.shape) - 1))


@lowers(knp.Vsplit)
def lower_vsplit(op: Any, x: Any) -> Any:
    """Along the first axis."""
    return ops.split(x, op.indices_or_sections, axis=0)


@lowers(knp.Dsplit)
def lower_dsplit(op: Any, x: Any) -> Any:
    """Along the third axis."""
    return ops.split(x, op.indices_or_sections, axis=2)


@lowers(knp.ArraySplit)
def lower_array_split(op: Any, x: Any) -> Any:
    """Parts that need not be equal: the first ones have one more."""
    parts, axis = op.indices_or_sections, positive_axis(op.axis, len(x.shape))
    if isinstance(parts, int):
        size, larger = divmod(x.shape[axis], parts)
        sizes = [size + 1] * larger + [size] * (parts - larger)
        parts = list(accumulate(sizes))[:-1]
    return ops.split(x, parts, axis=axis)


@lowers(knp.Sinc)
def lower_sinc(op: Any, x: Any) -> Any:
    """1 at 0."""
    x = ops.cast(x, backend.result_type(x.dtype, float))
    turned = ops.multiply(x, np.pi)
    at_zero = ops.equal(x, 0)
    safe = ops.where(at_zero, ops.ones_like(x), turned)
    return ops.where(at_zero, ops.ones_like(x), ops.divide(ops.sin(safe), safe))


@lowers(knp.Ldexp)
def lower_ldexp(op: Any, x1: Any, x2: Any) -> Any:
    """A product with a power of two."""
    x1, x2 = ops.convert_to_tensor(x1), ops.convert_to_tensor(x2)
    dtype = backend.result_type(x1.dtype, x2.dtype, float)
    x1 = ops.cast(x1, dtype)
    scaled = ops.multiply(x1, ops.power(ops.cast(2.0, dtype), ops.cast(x2, dtype)))
    return ops.where(ops.logical_or(ops.isinf(x1), ops.equal(x1, 0)), x1, scaled)


@lowers(knp.Logspace)
def lower_logspace(op: Any, start: Any, stop: Any) -> Any:
    """Powers of even steps."""
    steps = ops.linspace(start, stop, op.num, op.endpoint, dtype=op.dtype, axis=op.axis)
    return ops.power(ops.cast(op.base, steps.dtype), steps)


@lowers(knp.Trapezoid)
def lower_trapezoid(op: Any, y: Any) -> Any:
    """Means of neighbours times their distances."""
    y = ops.cast(y, backend.result_type(y.dtype, float))
    widths = op.dx
    if op.x is not None:
        widths = ops.diff(ops.cast(op.x, y.dtype), axis=op.axis)
        widths = ops.moveaxis(widths, op.axis, -1)
    y = ops.moveaxis(y, op.axis, -1)
    heights = ops.multiply(0.5, ops.add(y[..., 1:], y[..., :-1]))
    return ops.sum(ops.multiply(heights, widths), axis=-1)


@lowers(knp.Vander)
def lower_vander(op: Any, x: Any) -> Any:
    """A column for each power."""
    count = x.shape[0] if op.N is None else op.N
    powers = np.arange(count) if op.increasing else np.arange(count - 1, -1, -1)
    dtype = backend.result_type(x.dtype, "float32")
    columns = ops.power(ops.cast(ops.expand_dims(x, -1), dtype), powers.astype(dtype))
    return ops.cast(columns, backend.result_type(x.dtype))


@lowers(knp.UnravelIndex)
def lower_unravel_index(op: Any, indices: Any) -> Any:
    """Remainders, from the last axis to the first."""
    if len(indices.shape) != 1:
        raise UnsupportedCall(
            "keras.ops.unravel_index of several axes differs between Keras's backends",
            "Give it a vector: reshape the indices to (-1,), and what it answers back.",
        )
    places = []
    for size in reversed(op.shape):
        places.append(ops.cast(ops.mod(indices, size), indices.dtype))
        indices = ops.floor_divide(indices, size)
    return tuple(reversed(places))


@lowers(knp.Nancumsum)
def lower_nancumsum(op: Any, x: Any) -> Any:
    """NaN counts as 0."""
    return ops.cumsum(ops.nan_to_num(x), axis=op.axis, dtype=op.dtype)


@lowers(knp.Nancumprod)
def lower_nancumprod(op: Any, x: Any) -> Any:
    """NaN counts as 1."""
    return ops.cumprod(ops.nan_to_num(x, nan=1.0), axis=op.axis, dtype=op.dtype)


@lowers(knp.Nanargmax)
def lower_nanargmax(op: Any, x: Any) -> Any:
    """NaN is less than all; -1 where there is nothing else."""
    return _argument_without_nan(ops.argmax, float("-inf"), op, x)


@lowers(knp.Nanargmin)
def lower_nanargmin(op: Any, x: Any) -> Any:
    """NaN is more than all; -1 where there is nothing else."""
    return _argument_without_nan(ops.argmin, float("inf"), op, x)


def _argument_without_nan(find: Any, worst: float, op: Any, x: Any) -> Any:
    options = {"axis": op.axis, "keepdims": op.keepdims}
    if "float" not in x.dtype:
        return find(x, **options)
    unknown = ops.isnan(x)
    found = find(ops.where(unknown, np.asarray(worst, x.dtype), x), **options)
    return ops.where(ops.all(unknown, **options), np.asarray(-1, found.dtype), found)


@lowers(knp.Corrcoef)
def lower_corrcoef(op: Any, x: Any) -> Any:
    """Covariances of rows by their spreads."""
    x = ops.cast(x, x.dtype if "float" in x.dtype else backend.floatx())
    centred = ops.subtract(x, ops.mean(x, axis=-1, keepdims=True))
    products = ops.matmul(centred, ops.swapaxes(centred, -1, -2))
    covariances = ops.divide(products, x.shape[-1] - 1)
    spreads = ops.sqrt(ops.diagonal(covariances, axis1=-2, axis2=-1))
    return ops.clip(ops.divide(covariances, ops.outer(spreads, spreads)), -1.0, 1.0)


@lowers(math.Logdet)
def lower_logdet(op: Any, x: Any) -> Any:
    """Of a positive definite matrix: logarithms of the diagonal of Cholesky's factor."""
    diagonal = ops.diagonal(ops.cholesky(x), axis1=-2, axis2=-1)
    return ops.multiply(2.0, ops.sum(ops.log(diagonal), axis=-1))


@lowers(math.ExtractSequences)
def lower_extract_sequences(op: Any, x: Any) -> Any:
    """Windows are looked up by their places."""
    count = 1 + (x.shape[-1] - op.sequence_length) // op.sequence_stride
    starts = op.sequence_stride * np.arange(count)[:, None]
    return ops.take(x, (starts + np.arange(op.sequence_length)).astype("int32"), axis=-1)


@lowers(math.FFT2)
def lower_fft2(op: Any, x: Any) -> Any:
    """A transform of one axis, then of the other."""
    for _ in range(2):
        x = ops.fft(x)
        x = tuple(ops.swapaxes(part, -1, -2) for part in x)
    return x
