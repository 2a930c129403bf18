"""Quantiles, as Keras's TensorFlow backend has them: a sort, and what is at or between places."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from keras.src import backend
from keras.src.ops import numpy as knp

from kbridge.export.normalise import all_axes
from kbridge.export.registry import lowers
from kbridge.export.trace import UnsupportedCall


@lowers(knp.Median)
def lower_median(op: Any, x: Any) -> Any:
    """The quantile in the middle."""
    return _quantiles(x, np.float32(0.5), op.axis, "linear", op.keepdims)


@lowers(knp.Quantile)
def lower_quantile(op: Any, x: Any, q: Any) -> Any:
    """For a number, or several along a new first axis."""
    return _quantiles(x, _numbers(q), op.axis, op.method, op.keepdims)


@lowers(knp.Percentile)
def lower_percentile(op: Any, x: Any, q: Any) -> Any:
    """Quantiles by hundredths."""
    q = _numbers(q).astype(backend.floatx()) / np.float32(100.0)
    return _quantiles(x, q, op.axis, op.method, op.keepdims)


@lowers(knp.Nanmedian)
def lower_nanmedian(op: Any, x: Any) -> Any:
    """The middle of the numbers."""
    return _quantiles(x, np.float32(0.5), op.axis, "linear", op.keepdims, numbers=True)


@lowers(knp.Nanquantile)
def lower_nanquantile(op: Any, x: Any, q: Any) -> Any:
    """Quantiles of the numbers."""
    q = _numbers(q).astype(backend.floatx())
    return _quantiles(x, q, op.axis, op.method, op.keepdims, numbers=True)


@lowers(knp.Nanpercentile)
def lower_nanpercentile(op: Any, x: Any, q: Any) -> Any:
    """Quantiles of the numbers by hundredths."""
    q = _numbers(q).astype(backend.floatx()) / np.float32(100.0)
    return _quantiles(x, q, op.axis, op.method, op.keepdims, numbers=True)


def _numbers(q: Any) -> np.ndarray:
    if hasattr(q, "_keras_history") or hasattr(q, "assign"):
        raise UnsupportedCall("a quantile is asked for by a tensor", "Ask for it by a number.")
    if np.ndim(q) > 1:
        raise UnsupportedCall("quantiles are asked for by a matrix", "Ask for them by a list.")
    # NB: numbers of Python's become float32 in Keras; arrays stay what they are.
    return q if isinstance(q, np.ndarray) else np.float32(q)


def _quantiles(
    x: Any, q: Any, axis: Any, method: str, keepdims: bool, numbers: bool = False
) -> Any:
    x = ops.cast(x, backend.result_type(x.dtype, float))
    axes = all_axes(axis, len(x.shape))
    others = [i for i in range(len(x.shape)) if i not in axes]
    rows = ops.transpose(x, others + axes)
    rows = ops.reshape(rows, [*(x.shape[i] for i in others), -1])
    unknown = ops.isnan(rows)
    found = [_at(rows, unknown, float(one), method, numbers) for one in np.atleast_1d(q)]
    if keepdims:
        kept = [1 if i in axes else size for i, size in enumerate(x.shape)]
        found = [ops.reshape(one, kept) for one in found]
    return ops.stack(found, axis=0) if np.ndim(q) else found[0]


def _at(rows: Any, unknown: Any, q: float, method: str, numbers: bool) -> Any:
    """One quantile along the last axis."""
    nan = ops.cast(float("nan"), rows.dtype)
    if not numbers:
        last = rows.shape[-1] - 1
        ordered = ops.sort(ops.where(unknown, ops.zeros_like(rows), rows), axis=-1)
        exact = np.asarray([last * q])
        found = _between(ordered, exact, last, method, np, _taken)
        return ops.where(ops.any(unknown, axis=-1), nan, ops.squeeze(found, -1))
    # NB: NaN goes behind all numbers; how many there are differs from row to row.
    ordered = ops.sort(ops.where(unknown, ops.cast(float("inf"), rows.dtype), rows), axis=-1)
    known = ops.cast(ops.logical_not(unknown), "float64")
    count = ops.sum(known, axis=-1, keepdims=True)
    last = ops.maximum(ops.subtract(count, 1.0), 0.0)
    found = _between(ordered, ops.multiply(last, q), last, method, ops, _taken_along)
    return ops.squeeze(ops.where(ops.equal(count, 0.0), nan, found), -1)


def _between(ordered: Any, exact: Any, last: Any, method: str, xp: Any, taken: Any) -> Any:
    def at(places: Any) -> Any:
        return taken(ordered, xp.minimum(xp.maximum(places, 0.0), last))

    if method == "midpoint":
        return ops.multiply(0.5, ops.add(at(xp.floor(exact)), at(xp.ceil(exact))))
    if method != "linear":
        whole = {"lower": xp.floor, "higher": xp.ceil, "nearest": xp.round}[method]
        return at(whole(exact))
    larger = xp.minimum(xp.maximum(xp.ceil(exact), 0.0), last)
    smaller = xp.maximum(larger - 1.0, 0.0)
    larger = xp.minimum(smaller + 1.0, last)
    share = ops.cast(larger - exact, ordered.dtype)
    return ops.add(
        ops.multiply(at(larger), ops.subtract(1.0, share)), ops.multiply(at(smaller), share)
    )


def _taken(ordered: Any, places: np.ndarray) -> Any:
    return ops.take(ordered, places.astype("int32"), axis=-1)


def _taken_along(ordered: Any, places: Any) -> Any:
    return ops.take_along_axis(ordered, ops.cast(places, "int32"), axis=-1)
