"""Random numbers of a training step: one node per draw, everything around it ordinary operations.

A draw is a function of its seed, which is the state of a seed generator: a variable that the step
also moves on. TensorFlow's formulas say how the numbers are used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops
from keras.src import backend
from keras.src.random.seed_generator import draw_seed

from kbridge.export.trace import UnsupportedCall
from kbridge.export.tracing import emit_node


def draws() -> dict[str, Callable]:
    """Stand-ins for the functions of `backend.random`, by name."""
    made = {
        "uniform": uniform,
        "normal": normal,
        "truncated_normal": truncated_normal,
        "randint": randint,
        "dropout": dropout,
        "shuffle": shuffle,
        "categorical": categorical,
    }
    return made | {name: _refused(name) for name in ("gamma", "binomial", "beta")}


def _draw(op: str, shape: Sequence[Any], dtype: str | None, seed: Any, **attrs: Any) -> Any:
    dtype = backend.standardize_dtype(dtype or backend.floatx())
    shape = [int(size) for size in shape]
    attrs = {"shape": shape, **attrs, "dtype": dtype}
    return emit_node(op, [draw_seed(seed)], attrs, (shape, dtype))


def uniform(
    shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Uniform in [minval, maxval); bounds that are tensors scale draws from [0, 1)."""
    if _numbers(minval, maxval):
        bounds = {"minval": float(minval), "maxval": float(maxval)}
        return _draw("RandomUniform", shape, dtype, seed, **bounds)
    drawn = _draw("RandomUniform", shape, dtype, seed, minval=0.0, maxval=1.0)
    low, high = ops.cast(minval, drawn.dtype), ops.cast(maxval, drawn.dtype)
    return ops.add(ops.multiply(drawn, ops.subtract(high, low)), low)


def normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Normally distributed; moments that are tensors scale standard draws."""
    return _normal("RandomNormal", shape, mean, stddev, dtype, seed)


def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Normally distributed, drawn again where further than two deviations off."""
    return _normal("RandomTruncatedNormal", shape, mean, stddev, dtype, seed)


def _normal(op: str, shape: Any, mean: Any, stddev: Any, dtype: Any, seed: Any) -> Any:
    if _numbers(mean, stddev):
        moments = {"mean": float(mean), "stddev": float(stddev)}
        return _draw(op, shape, dtype, seed, **moments)
    drawn = _draw(op, shape, dtype, seed, mean=0.0, stddev=1.0)
    mean, stddev = ops.cast(mean, drawn.dtype), ops.cast(stddev, drawn.dtype)
    return ops.add(ops.multiply(drawn, stddev), mean)


def randint(shape: Any, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None) -> Any:
    """Integers in [minval, maxval)."""
    if not _numbers(minval, maxval):
        raise UnsupportedCall(
            "it draws integers between bounds that are tensors", "Use numbers for the bounds."
        )
    dtype = backend.standardize_dtype(dtype)
    wide = dtype if dtype in ("int32", "int64") else "int64"
    bounds = {"minval": int(minval), "maxval": int(maxval)}
    return ops.cast(_draw("RandomInt", shape, wide, seed, **bounds), dtype)


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """What `tf.nn.experimental.stateless_dropout` computes."""
    if rate == 1.0:
        return ops.zeros_like(inputs)
    if rate == 0.0:
        return inputs
    shape = inputs.shape if noise_shape is None else noise_shape
    shape = [n if size is None else size for size, n in zip(shape, inputs.shape, strict=True)]
    drawn = _draw("RandomUniform", shape, inputs.dtype, seed, minval=0.0, maxval=1.0)
    kept = ops.greater_equal(drawn, rate)
    return ops.where(kept, ops.multiply(inputs, 1.0 / (1.0 - rate)), ops.zeros((), inputs.dtype))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """In the order of draws."""
    drawn = _draw("RandomUniform", [x.shape[axis]], "float32", seed, minval=0.0, maxval=1.0)
    return ops.take(x, ops.argsort(drawn), axis=axis)


def categorical(logits: Any, num_samples: int, dtype: Any = "int64", seed: Any = None) -> Any:
    """Classes with the probabilities that logits give, by the largest of logits and Gumbel noise.

    NB: TensorFlow draws from the same distribution in another way.
    """
    rows, classes = logits.shape
    shape = [rows, num_samples, classes]
    tiny = 1.1754944e-38
    drawn = _draw("RandomUniform", shape, "float32", seed, minval=tiny, maxval=1.0)
    noise = ops.negative(ops.log(ops.negative(ops.log(drawn))))
    scores = ops.add(ops.expand_dims(ops.cast(logits, "float32"), 1), noise)
    return ops.cast(ops.argmax(scores, axis=-1), dtype)


def _refused(name: str) -> Callable:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedCall(
            f"it draws from keras.random.{name}, which the JVM cannot draw",
            "Draw from keras.random.uniform or normal and compute what is needed of it.",
        )

    return refuse


def _numbers(*values: Any) -> bool:
    return not any(isinstance(v, keras.KerasTensor) or hasattr(v, "dtype") for v in values)
