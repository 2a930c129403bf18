"""Sums, means, quantiles and products, by the formulas of Keras's TensorFlow backend."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from keras.src import backend
from keras.src.ops import math
from keras.src.ops import numpy as knp

from kbridge.export.normalise import positive_axis
from kbridge.export.registry import lowers


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


@lowers(math.FFT2)
def lower_fft2(op: Any, x: Any) -> Any:
    """A transform of one axis, then of the other."""
    for _ in range(2):
        x = ops.fft(x)
        x = tuple(ops.swapaxes(part, -1, -2) for part in x)
    return x


@lowers(math.CDist)
def lower_cdist(op: Any, x: Any, y: Any) -> Any:
    """Distances of all rows of one to all of the other."""
    apart = ops.subtract(ops.expand_dims(x, -2), ops.expand_dims(y, -3))
    return ops.sqrt(ops.sum(ops.square(apart), axis=-1))


@lowers(knp.Ptp)
def lower_ptp(op: Any, x: Any) -> Any:
    """From the least to the largest."""
    options = {"axis": op.axis, "keepdims": op.keepdims}
    return ops.subtract(ops.max(x, **options), ops.min(x, **options))


@lowers(knp.Cross)
def lower_cross(op: Any, x1: Any, x2: Any) -> Any:
    """Of vectors of three, or of two with a third 0."""
    x1, x2 = ops.convert_to_tensor(x1), ops.convert_to_tensor(x2)
    dtype = backend.result_type(x1.dtype, x2.dtype)
    x1 = ops.moveaxis(ops.cast(x1, dtype), op.axisa, -1)
    x2 = ops.moveaxis(ops.cast(x2, dtype), op.axisb, -1)
    flat = x1.shape[-1] == 2 and x2.shape[-1] == 2
    a, b = (
        [x[..., i] if i < x.shape[-1] else ops.zeros_like(x[..., 0]) for i in range(3)]
        for x in (x1, x2)
    )
    parts = [
        ops.subtract(ops.multiply(a[i], b[j]), ops.multiply(a[j], b[i]))
        for i, j in ((1, 2), (2, 0), (0, 1))
    ]
    return parts[2] if flat else ops.moveaxis(ops.stack(parts, axis=-1), -1, op.axisc)
