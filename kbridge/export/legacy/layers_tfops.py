"""TensorFlow operations inside Keras 2 models (`TFOpLambda`, `SlicingOpLambda`).

Each is a named TensorFlow function with its arguments; here it becomes `keras.ops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from kbridge.export.legacy.context import Context
from kbridge.export.legacy.registry import Config, Converted, Refused, converts

_OPS: dict[str, Callable[..., Any]] = {}


def tf_op(*symbols: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a TensorFlow function in `keras.ops`, with TensorFlow's parameter names."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for symbol in symbols:
            if symbol in _OPS:
                raise ValueError(f"Expected one mapping per function. Received: '{symbol}' twice.")
            _OPS[symbol] = function
        return function

    return register


def known_functions() -> list[str]:
    """Returns the TensorFlow functions that are read, sorted."""
    return sorted(_OPS)


def _binary(op: Callable[..., Any], *symbols: str) -> None:
    @tf_op(*symbols)
    def apply(x: Any, y: Any, **_: Any) -> Any:
        return op(x, y)


_binary(ops.add, "math.add", "__operators__.add", "add")
_binary(ops.subtract, "math.subtract", "subtract")
_binary(ops.multiply, "math.multiply", "multiply")
_binary(ops.true_divide, "math.truediv", "math.divide", "divide", "realdiv", "truediv")
_binary(ops.floor_divide, "math.floordiv", "floordiv")
_binary(ops.mod, "math.floormod", "math.mod")
_binary(ops.power, "math.pow", "pow")
_binary(ops.maximum, "math.maximum", "maximum")
_binary(ops.minimum, "math.minimum", "minimum")
_binary(ops.equal, "math.equal", "equal", "__operators__.eq")
_binary(ops.not_equal, "math.not_equal", "not_equal", "__operators__.ne")
_binary(ops.greater, "math.greater", "greater")
_binary(ops.greater_equal, "math.greater_equal", "greater_equal")
_binary(ops.less, "math.less", "less")
_binary(ops.less_equal, "math.less_equal", "less_equal")
_binary(ops.logical_and, "math.logical_and", "logical_and")
_binary(ops.logical_or, "math.logical_or", "logical_or")


def _unary(op: Callable[..., Any], *symbols: str) -> None:
    @tf_op(*symbols)
    def apply(x: Any = None, features: Any = None, **_: Any) -> Any:
        return op(features if x is None else x)


_unary(ops.abs, "math.abs", "abs")
_unary(ops.negative, "math.negative", "negative")
_unary(ops.exp, "math.exp", "exp")
_unary(ops.log, "math.log")
_unary(ops.log1p, "math.log1p")
_unary(ops.sqrt, "math.sqrt", "sqrt")
_unary(ops.rsqrt, "math.rsqrt")
_unary(ops.square, "math.square", "square")
_unary(ops.sin, "math.sin", "sin")
_unary(ops.cos, "math.cos", "cos")
_unary(ops.tan, "math.tan", "tan")
_unary(ops.floor, "math.floor", "floor")
_unary(ops.ceil, "math.ceil")
_unary(ops.round, "math.round", "round", "math.rint")
_unary(ops.sign, "math.sign", "sign")
_unary(ops.erf, "math.erf")
_unary(ops.reciprocal, "math.reciprocal")
_unary(ops.logical_not, "math.logical_not", "logical_not")
_unary(ops.relu, "nn.relu")
_unary(ops.relu6, "nn.relu6")
_unary(ops.elu, "nn.elu")
_unary(ops.selu, "nn.selu")
_unary(ops.tanh, "math.tanh", "nn.tanh", "tanh")
_unary(ops.sigmoid, "math.sigmoid", "nn.sigmoid", "sigmoid")
_unary(ops.softplus, "math.softplus", "nn.softplus")
_unary(ops.softsign, "math.softsign", "nn.softsign")
_unary(ops.silu, "nn.silu", "nn.swish")
_unary(ops.stop_gradient, "stop_gradient")
_unary(ops.zeros_like, "zeros_like")
_unary(ops.ones_like, "ones_like")
_unary(lambda x: x, "identity")


@tf_op("nn.leaky_relu")
def _leaky_relu(features: Any, alpha: float = 0.2, **_: Any) -> Any:
    return ops.leaky_relu(features, negative_slope=alpha)


@tf_op("nn.gelu")
def _gelu(features: Any, approximate: bool = False, **_: Any) -> Any:
    return ops.gelu(features, approximate=approximate)


@tf_op("nn.softmax")
def _softmax(logits: Any, axis: int | None = None, **_: Any) -> Any:
    return ops.softmax(logits, axis=-1 if axis is None else axis)


@tf_op("nn.log_softmax")
def _log_softmax(logits: Any, axis: int | None = None, **_: Any) -> Any:
    return ops.log_softmax(logits, axis=-1 if axis is None else axis)


@tf_op("clip_by_value")
def _clip(t: Any, clip_value_min: Any, clip_value_max: Any, **_: Any) -> Any:
    return ops.clip(t, clip_value_min, clip_value_max)


@tf_op("math.squared_difference")
def _squared_difference(x: Any, y: Any, **_: Any) -> Any:
    return ops.square(ops.subtract(x, y))


def _reduction(op: Callable[..., Any], *symbols: str) -> None:
    @tf_op(*symbols)
    def apply(input_tensor: Any, axis: Any = None, keepdims: Any = False, **_: Any) -> Any:
        axis = tuple(axis) if isinstance(axis, list) else axis
        return op(input_tensor, axis=axis, keepdims=bool(keepdims))


_reduction(ops.sum, "math.reduce_sum", "reduce_sum")
_reduction(ops.mean, "math.reduce_mean", "reduce_mean")
_reduction(ops.max, "math.reduce_max", "reduce_max")
_reduction(ops.min, "math.reduce_min", "reduce_min")
_reduction(ops.prod, "math.reduce_prod", "reduce_prod")
_reduction(ops.any, "math.reduce_any", "reduce_any")
_reduction(ops.all, "math.reduce_all", "reduce_all")
_reduction(ops.logsumexp, "math.reduce_logsumexp", "reduce_logsumexp")
_reduction(ops.std, "math.reduce_std")
_reduction(ops.var, "math.reduce_variance")


@tf_op("math.argmax", "argmax")
def _argmax(input: Any, axis: int | None = None, output_type: Any = "int64", **_: Any) -> Any:
    return ops.cast(ops.argmax(input, axis=0 if axis is None else axis), _dtype(output_type))


@tf_op("math.argmin", "argmin")
def _argmin(input: Any, axis: int | None = None, output_type: Any = "int64", **_: Any) -> Any:
    return ops.cast(ops.argmin(input, axis=0 if axis is None else axis), _dtype(output_type))


@tf_op("math.cumsum", "cumsum")
def _cumsum(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, **_: Any) -> Any:
    if exclusive or reverse:
        raise Refused("tf.cumsum with exclusive or reverse is not supported", "use a plain cumsum")
    return ops.cumsum(x, axis=axis)


@tf_op("math.l2_normalize", "linalg.l2_normalize", "nn.l2_normalize")
def _l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, **_: Any) -> Any:
    axis = tuple(axis) if isinstance(axis, list) else axis
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, epsilon))


@tf_op("linalg.matmul", "matmul")
def _matmul(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, **others: Any
) -> Any:
    if any(others.get(key) for key in ("adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse")):
        raise Refused("tf.matmul with adjoints or sparse operands is not supported", "transpose")
    a = ops.swapaxes(a, -1, -2) if transpose_a else a
    b = ops.swapaxes(b, -1, -2) if transpose_b else b
    return ops.matmul(a, b)


@tf_op("einsum", "linalg.einsum")
def _einsum(equation: str, *inputs: Any, **_: Any) -> Any:
    if not inputs:  # NB: tf_keras stores the first argument of this function only
        raise Refused(
            "the file does not hold the operands of tf.einsum, which Keras 2 left out when saving",
            "use an EinsumDense or Dot layer, or keras.ops.einsum in a current Keras",
        )
    return ops.einsum(equation, *inputs)


@tf_op("reshape")
def _reshape(tensor: Any, shape: Any, **_: Any) -> Any:
    return ops.reshape(tensor, shape)


@tf_op("transpose", "compat.v1.transpose")
def _transpose(a: Any, perm: Any = None, conjugate: bool = False, **_: Any) -> Any:
    return ops.transpose(a, perm)


@tf_op("expand_dims")
def _expand_dims(input: Any, axis: int, **_: Any) -> Any:
    return ops.expand_dims(input, axis)


@tf_op("squeeze", "compat.v1.squeeze")
def _squeeze(input: Any, axis: Any = None, **_: Any) -> Any:
    return ops.squeeze(input, tuple(axis) if isinstance(axis, list) else axis)


@tf_op("concat")
def _concat(values: Any, axis: int, **_: Any) -> Any:
    return ops.concatenate(values, axis)


@tf_op("stack")
def _stack(values: Any, axis: int = 0, **_: Any) -> Any:
    return ops.stack(values, axis)


@tf_op("unstack")
def _unstack(value: Any, num: int | None = None, axis: int = 0, **_: Any) -> Any:
    return ops.unstack(value, num, axis)


@tf_op("split")
def _split(value: Any, num_or_size_splits: Any, axis: int = 0, **_: Any) -> Any:
    if isinstance(num_or_size_splits, (list, tuple)):
        ends = [sum(num_or_size_splits[: i + 1]) for i in range(len(num_or_size_splits) - 1)]
        return ops.split(value, ends, axis)
    return ops.split(value, num_or_size_splits, axis)


@tf_op("tile")
def _tile(input: Any, multiples: Any, **_: Any) -> Any:
    return ops.tile(input, multiples)


@tf_op("repeat")
def _repeat(input: Any, repeats: Any, axis: int | None = None, **_: Any) -> Any:
    return ops.repeat(input, repeats, axis)


@tf_op("pad", "compat.v1.pad")
def _pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, **_: Any
) -> Any:
    if mode.upper() != "CONSTANT":
        return ops.pad(tensor, paddings, mode.lower())
    return ops.pad(tensor, paddings, "constant", constant_values)


@tf_op("cast")
def _cast(x: Any, dtype: Any, **_: Any) -> Any:
    return ops.cast(x, _dtype(dtype))


@tf_op("gather", "compat.v1.gather")
def _gather(
    params: Any, indices: Any, axis: int | None = None, batch_dims: int = 0, **_: Any
) -> Any:
    if batch_dims:
        raise Refused("tf.gather with batch_dims is not supported", "use a take_along_axis layer")
    return ops.take(params, indices, axis=axis or 0)


@tf_op("where")
def _where(condition: Any, x: Any = None, y: Any = None, **_: Any) -> Any:
    if x is None:
        raise Refused("tf.where without values has an output of unknown size", "pass x and y")
    return ops.where(condition, x, y)


@tf_op("one_hot")
def _one_hot(
    indices: Any, depth: int, on_value: Any = None, off_value: Any = None, **_: Any
) -> Any:
    if on_value not in (None, 1, 1.0) or off_value not in (None, 0, 0.0):
        raise Refused("tf.one_hot with values other than 1 and 0 is not supported", "scale it")
    return ops.one_hot(indices, depth)


@tf_op("reverse")
def _reverse(tensor: Any, axis: Any, **_: Any) -> Any:
    return ops.flip(tensor, tuple(axis) if isinstance(axis, list) else axis)


@tf_op("nn.bias_add")
def _bias_add(value: Any, bias: Any, data_format: str | None = None, **_: Any) -> Any:
    if data_format is not None and data_format.startswith("NC") and data_format != "N...C":
        raise Refused("tf.nn.bias_add in NCHW is not supported", "use NHWC")
    return ops.add(value, bias)


@tf_op("__operators__.getitem", "_slice_helper")
def _getitem(tensor: Any, slice_spec: Any, **_: Any) -> Any:
    return tensor[_key(slice_spec)]


def _key(spec: Any) -> Any:
    if isinstance(spec, dict) and "start" in spec:
        return slice(spec.get("start"), spec.get("stop"), spec.get("step"))
    if isinstance(spec, dict) and spec.get("class_name") == "__ellipsis__":
        return ...
    if isinstance(spec, (list, tuple)):
        return tuple(_key(item) for item in spec)
    return spec


@tf_op("shape", "compat.v1.shape")
def _shape(input: Any, **_: Any) -> Any:
    raise Refused(
        "tf.shape gives sizes as a tensor, which shapes of other operations were computed from",
        "use Reshape, Flatten or keras.ops.shape in a current Keras, and save again",
    )


def _dtype(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("config", value.get("name"))
    return str(getattr(value, "name", value)).rsplit(".", 1)[-1]


def _apply(symbol: str, context: Context) -> Converted:
    function = _OPS.get(symbol)
    if function is None:
        raise Refused(
            f"the TensorFlow function 'tf.{symbol}' has no counterpart in kbridge's table",
            "replace it by a Keras layer or keras.ops and save again, or pass custom_objects",
        )
    context.note(f"{context.where()}: tf.{symbol} is written with keras.ops")
    return Converted(apply=lambda *args, **kwargs: function(*args, **_without_name(kwargs)))


def _without_name(kwargs: Config) -> Config:
    return {key: value for key, value in kwargs.items() if key != "name"}


@converts("TFOpLambda")
def tf_op_lambda(config: Config, context: Context) -> Converted:
    """A function by its public TensorFlow name."""
    return _apply(str(config.get("function")), context)


@converts("SlicingOpLambda")
def slicing(config: Config, context: Context) -> Converted:
    """`tensor[...]`."""
    return _apply(str(config.get("function")), context)
