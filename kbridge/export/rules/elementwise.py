"""Operations on single elements, by the formulas of Keras's TensorFlow backend."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from keras.src import backend
from keras.src.ops import numpy as knp

from kbridge.export.registry import lowers
from kbridge.export.trace import UnsupportedCall


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


@lowers(knp.Abs)
def lower_abs(op: Any, x: Any) -> Any:
    """Another name of `absolute`."""
    return ops.absolute(x)


@lowers(knp.AllClose)
def lower_all_close(op: Any, x1: Any, x2: Any) -> Any:
    """Whether all are close."""
    return ops.all(ops.isclose(x1, x2, op.rtol, op.atol, op.equal_nan))


@lowers(knp.Heaviside)
def lower_heaviside(op: Any, x1: Any, x2: Any) -> Any:
    """0 below 0, 1 above, and `x2` at 0."""
    x1, x2 = ops.convert_to_tensor(x1), ops.convert_to_tensor(x2)
    dtype = backend.result_type(x1.dtype, x2.dtype)
    if "int" in dtype:
        dtype = "float64" if dtype == "int64" else backend.floatx()
    x1, x2 = ops.cast(x1, dtype), ops.cast(x2, dtype)
    above = ops.where(ops.greater(x1, 0), ops.ones_like(x1), x2)
    return ops.where(ops.less(x1, 0), ops.zeros_like(x1), above)


@lowers(knp.Fmax)
def lower_fmax(op: Any, x1: Any, x2: Any) -> Any:
    """The larger one; the number, where the other is NaN."""
    return _of_numbers(ops.maximum, x1, x2)


@lowers(knp.Fmin)
def lower_fmin(op: Any, x1: Any, x2: Any) -> Any:
    """The smaller one; the number, where the other is NaN."""
    return _of_numbers(ops.minimum, x1, x2)


def _of_numbers(choose: Any, x1: Any, x2: Any) -> Any:
    kinds = [getattr(x, "dtype", type(x)) for x in (x1, x2)]
    dtype = backend.result_type(*kinds)
    x1, x2 = (ops.cast(x, dtype) for x in (x1, x2))
    chosen = choose(x1, x2)
    if "float" not in dtype:
        return chosen
    return ops.where(ops.isnan(x1), x2, ops.where(ops.isnan(x2), x1, chosen))


@lowers(knp.Fmod)
def lower_fmod(op: Any, x1: Any, x2: Any) -> Any:
    """The remainder with the sign of what is divided."""
    x1, x2 = ops.convert_to_tensor(x1), ops.convert_to_tensor(x2)
    dtype = backend.result_type(x1.dtype, x2.dtype)
    dtype = "int32" if dtype == "bool" else dtype
    narrow = dtype in ("uint8", "uint16", "uint32")
    x1, x2 = (ops.cast(x, "int32" if narrow else dtype) for x in (x1, x2))
    remainder = ops.mod(ops.absolute(x1), ops.absolute(x2))
    return ops.cast(ops.multiply(ops.sign(x1), remainder), dtype)


@lowers(knp.Logaddexp2)
def lower_logaddexp2(op: Any, x1: Any, x2: Any) -> Any:
    """The larger one and what the other adds."""
    x1, x2 = ops.convert_to_tensor(x1), ops.convert_to_tensor(x2)
    dtype = backend.result_type(x1.dtype, x2.dtype, float)
    x1, x2 = ops.cast(x1, dtype), ops.cast(x2, dtype)
    delta, unit = ops.subtract(x1, x2), float(np.log(np.float32(2.0)))
    less = ops.exp(ops.multiply(ops.negative(ops.absolute(delta)), unit))
    sums = ops.add(ops.maximum(x1, x2), ops.divide(ops.log1p(less), unit))
    return ops.where(ops.isnan(delta), ops.add(x1, x2), sums)


@lowers(knp.Conj)
def lower_conj(op: Any, x: Any) -> Any:
    """Of a real number the number itself."""
    return _real(x)


@lowers(knp.Imag)
def lower_imag(op: Any, x: Any) -> Any:
    """Of a real number 0."""
    return ops.zeros_like(_real(x))


@lowers(knp.Isreal)
def lower_isreal(op: Any, x: Any) -> Any:
    """Real numbers are."""
    return ops.equal(ops.zeros_like(_real(x)), 0)


@lowers(knp.Angle)
def lower_angle(op: Any, x: Any) -> Any:
    """Half a turn for negative numbers."""
    x = _real(x)
    dtype = backend.floatx() if x.dtype == "int64" else backend.result_type(x.dtype, float)
    return ops.cast(ops.where(ops.less(x, 0), np.pi, 0.0), dtype)


def _real(x: Any) -> Any:
    x = ops.convert_to_tensor(x)
    if "complex" in x.dtype:
        raise UnsupportedCall(
            "it works on complex numbers", "Take real and imaginary parts as tensors of their own."
        )
    return x


@lowers(knp.IsIn)
def lower_is_in(op: Any, x1: Any, x2: Any) -> Any:
    """Each compared with all."""
    x1, x2 = ops.convert_to_tensor(x1), ops.convert_to_tensor(x2)
    dtype = backend.result_type(x1.dtype, x2.dtype)
    found = ops.equal(
        ops.expand_dims(ops.cast(x1, dtype), -1), ops.reshape(ops.cast(x2, dtype), (-1,))
    )
    found = ops.any(found, axis=-1)
    return ops.logical_not(found) if op.invert else found


@lowers(knp.Digitize)
def lower_digitize(op: Any, x: Any, bins: Any) -> Any:
    """Which bin each is in, by search in the boundaries."""
    # NB: the boundaries are float32 in TensorFlow; integers are compared with them exactly.
    dtype = x.dtype if x.dtype in ("float32", "float64") else "float64"
    bounds = np.asarray(bins, "float32").astype(dtype)
    return ops.searchsorted(bounds, ops.cast(x, dtype), side="right")
