"""Reductions that leave NaN out, by the formulas of Keras's TensorFlow backend."""

from __future__ import annotations

from typing import Any

from keras import ops
from keras.src import backend
from keras.src.ops import numpy as knp

from kbridge.export.registry import lowers


def _options(op: Any) -> dict[str, Any]:
    return {"axis": op.axis, "keepdims": op.keepdims}


def _filled(x: Any, fill: float) -> Any:
    return ops.where(ops.isnan(x), ops.cast(fill, x.dtype), x)


@lowers(knp.Nansum)
def lower_nansum(op: Any, x: Any) -> Any:
    """NaN counts as 0."""
    return ops.sum(_filled(x, 0.0) if "float" in x.dtype else x, **_options(op))


@lowers(knp.Nanprod)
def lower_nanprod(op: Any, x: Any) -> Any:
    """NaN counts as 1."""
    return ops.prod(_filled(x, 1.0) if "float" in x.dtype else x, **_options(op))


@lowers(knp.Nanmax)
def lower_nanmax(op: Any, x: Any) -> Any:
    """The largest number; NaN where there is none."""
    return _extreme(ops.max, float("-inf"), op, x)


@lowers(knp.Nanmin)
def lower_nanmin(op: Any, x: Any) -> Any:
    """The least number; NaN where there is none."""
    return _extreme(ops.min, float("inf"), op, x)


def _extreme(reduce: Any, worst: float, op: Any, x: Any) -> Any:
    if "float" not in x.dtype:
        return reduce(x, **_options(op))
    found = reduce(_filled(x, worst), **_options(op))
    none = ops.all(ops.isnan(x), **_options(op))
    return ops.where(none, ops.cast(float("nan"), x.dtype), found)


@lowers(knp.Nanmean)
def lower_nanmean(op: Any, x: Any) -> Any:
    """The mean of the numbers."""
    return _mean(x, **_options(op))


def _mean(x: Any, axis: Any, keepdims: bool) -> Any:
    if "float" not in x.dtype:
        return ops.mean(ops.cast(x, "float32"), axis=axis, keepdims=keepdims)
    dtype = backend.result_type(x.dtype, float)
    total = ops.cast(ops.sum(_filled(x, 0.0), axis=axis, keepdims=keepdims), dtype)
    return ops.divide(total, _count(x, dtype, axis, keepdims))


def _count(x: Any, dtype: str, axis: Any, keepdims: bool) -> Any:
    numbers = ops.cast(ops.logical_not(ops.isnan(x)), dtype)
    return ops.sum(numbers, axis=axis, keepdims=keepdims)


@lowers(knp.Nanvar)
def lower_nanvar(op: Any, x: Any) -> Any:
    """The mean square distance from the mean."""
    return _variance(op, x)


@lowers(knp.Nanstd)
def lower_nanstd(op: Any, x: Any) -> Any:
    """The root of the variance."""
    return ops.sqrt(_variance(op, x))


def _variance(op: Any, x: Any) -> Any:
    x = ops.cast(x, backend.result_type(x.dtype, float))
    apart = ops.subtract(x, _mean(x, op.axis, True))
    squares = ops.square(ops.where(ops.isnan(x), ops.zeros_like(x), apart))
    return ops.divide(ops.sum(squares, **_options(op)), _count(x, x.dtype, **_options(op)))
