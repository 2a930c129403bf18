"""From a Keras operation call to the node (or nodes) of the bundle's vocabulary.

docs/bundle-format.md section 4 promises readers that there is nothing to guess: axes are not
negative, operands of one operation have one dtype, sizes are lists. This module makes that so.
An operation with a form of its own registers it with `@normalises`; all others take the general
one. Tables below say which general treatment an operation gets.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.src import backend
from keras.src.backend.common import dtypes

from kbridge.export.graph import GraphBuilder, Value
from kbridge.export.trace import UnsupportedCall

Form = Callable[["OpCall", GraphBuilder], list[Value]]
_FORMS: dict[str, Form] = {}
_SPECS: dict[str, Callable] = {}


def normalises(*names: str) -> Callable[[Form], Form]:
    """Registers the form of operations, by class name; a second form for one is an error."""

    def register(form: Form) -> Form:
        for name in names:
            if name in _FORMS:
                raise ValueError(f"Expected one form for {name}. Received a second: {form}.")
            _FORMS[name] = form
        return form

    return register


def specifies(*names: str) -> Callable[[Callable], Callable]:
    """Registers an output spec to use where Keras's own shape inference fails."""

    def register(spec: Callable) -> Callable:
        for name in names:
            _SPECS[name] = spec
        return spec

    return register


class OpCall:
    """One call of a `keras.ops` operation.

    Attributes:
        name: The operation's class name.
        attrs: Its constructor arguments as Keras holds them, without `name`.
        arguments: The arguments of its `call` by parameter name, defaults filled in.
        outputs: What it returned, and `flat_outputs` the same as a flat list.
        operation: The operation itself.
    """

    def __init__(self, operation: Any, args: tuple, kwargs: dict, outputs: Any):
        self.operation = operation
        self.name = type(operation).__name__
        self.outputs = outputs
        self.flat_outputs = [t for t in tree.flatten(outputs) if isinstance(t, keras.KerasTensor)]
        self.attrs = _constructor_arguments(operation)
        signature = inspect.signature(operation.call)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        self.arguments = dict(bound.arguments)

    @property
    def output(self) -> keras.KerasTensor:
        """The only output."""
        return self.flat_outputs[0]

    @property
    def specs(self) -> list[tuple[tuple[int, ...], str]]:
        """Shape and dtype of each output."""
        return [(tuple(t.shape), t.dtype) for t in self.flat_outputs]


def _constructor_arguments(operation: Any) -> dict[str, Any]:
    parameters = inspect.signature(type(operation).__init__).parameters
    found = {}
    for name, parameter in parameters.items():
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if name in ("self", "name") or parameter.kind in kinds:
            continue
        if not hasattr(operation, name):
            raise UnsupportedCall(
                f"Keras's {type(operation).__name__} does not keep its argument {name!r}",
                "Report this: the operation needs a form in kbridge.",
            )
        found[name] = getattr(operation, name)
    return found


# Operations that give their operand back. NB: the same object has to come back, not a new tensor,
# because Keras's masks travel as an attribute of the tensor object.
_PASS_THROUGH = {"Identity", "Copy", "ConvertToTensor", "StopGradient", "View", "Cast"}


def unchanged(op: Any, args: tuple, kwargs: dict) -> Any:
    """Returns the operand of an operation that changes nothing, otherwise None."""
    if type(op).__name__ not in _PASS_THROUGH or not args:
        return None
    operand = args[0]
    if not isinstance(operand, keras.KerasTensor):
        return None
    dtype = getattr(op, "dtype", None)
    return operand if dtype is None or dtype == operand.dtype else None


def operands(op: Any, args: tuple) -> tuple:
    """Returns the operands with lists of numbers as the arrays that Keras makes of them.

    Keras does so when it computes (``[0.1, 0.9] * x``), not when it infers shapes.
    """
    if type(op).__name__ not in (_PROMOTING | _COMPARING) - _TAKING_LISTS:
        return args
    return tuple(_array(arg) if isinstance(arg, (list, tuple)) else arg for arg in args)


def _array(numbers: Any) -> Any:
    if any(isinstance(item, keras.KerasTensor) for item in tree.flatten(numbers)):
        return numbers
    array = np.asarray(numbers)
    usual = {"float64": keras.config.floatx(), "int64": "int32"}
    return array.astype(usual.get(array.dtype.name, array.dtype))


def output_spec(op: Any, args: tuple, kwargs: dict) -> Any:
    """Returns the symbolic output of an operation."""
    _register()
    spec = _SPECS.get(type(op).__name__)
    return op.compute_output_spec(*args, **kwargs) if spec is None else spec(op, *args, **kwargs)


# Operands are brought to the output's dtype: Keras computes in it.
_PROMOTING = frozenset(
    "Add Subtract Multiply Divide TrueDivide DivideNoNan FloorDivide Mod Fmod Power Maximum "
    "Minimum Fmax Fmin Arctan2 Hypot Logaddexp Logaddexp2 Heaviside Nextafter Gcd Lcm "
    "BitwiseAnd BitwiseOr "
    "BitwiseXor BitwiseLeftShift BitwiseRightShift LeftShift RightShift Concatenate Stack Dot "
    "Tensordot Einsum Matmul Outer Inner Vdot Kron Cross Append Hstack Vstack Dstack Polar".split()
)
_TAKING_LISTS = frozenset("Concatenate Stack Einsum Append Hstack Vstack Dstack".split())
# Operands are brought to the dtype Keras's promotion gives; the output is boolean.
_COMPARING = frozenset(
    "Equal NotEqual Less LessEqual Greater GreaterEqual Isclose AllClose".split()
)
_LOGICAL = frozenset("LogicalAnd LogicalOr LogicalNot LogicalXor Any All".split())
# One operand whose dtype differs from the output's by the meaning of the operation.
_KEEPING = frozenset(
    "Cast SaturateCast OneHot MultiHot Argmax Argmin Argsort Argpartition Isnan Isinf Isfinite "
    "Isneginf Isposinf Isreal CountNonzero Nonzero TopK Unique SearchSorted Bincount Digitize View "
    "Real Imag Angle ZerosLike OnesLike FullLike EmptyLike IsIn InTopK Signbit Take TakeAlongAxis "
    "ViewAsComplex ViewAsReal Histogram Ndim Size".split()
)
_REDUCING = frozenset(
    "Mean Sum Max Min Prod Any All Var Std Amax Amin CountNonzero Logsumexp Moments Nansum Nanmean "
    "Nanmax Nanmin Nanprod Nanvar Nanstd Median Nanmedian Quantile Nanquantile Percentile "
    "Nanpercentile Ptp".split()
)
_SPATIAL = ("strides", "dilation_rate", "pool_size", "output_padding", "output_size")
# Parameters of `call` that are attributes and no tensors.
_ATTRIBUTE_ARGUMENTS = {
    "GetItem": ("key",),
    "Slice": ("start_indices",),
    "SliceUpdate": ("start_indices",),
    "Pad": ("constant_values",),
}


def _register() -> None:
    """Fills the tables. NB: the modules import this one."""
    import kbridge.export.opforms
    import kbridge.export.opspecs
    import kbridge.export.quirks
    import kbridge.export.refused  # noqa: F401


def emit(call: OpCall, builder: GraphBuilder) -> list[Value]:
    """Appends the nodes of an operation call and returns the values of its outputs."""
    form = forms().get(call.name, general)
    return form(call, builder)


def forms() -> Mapping[str, Form]:
    """The forms of all operations that have one of their own."""
    _register()
    return _FORMS


def general(call: OpCall, builder: GraphBuilder) -> list[Value]:
    """The form of operations that need none of their own."""
    operands = operands_of(call, builder)
    attrs = {**call.attrs, **attribute_arguments(call)}
    attrs = {name: plain(value) for name, value in attrs.items()}
    ndim = operands[0].ndim if operands and operands[0] is not None else 0
    if call.name in _REDUCING:
        attrs["axis"] = all_axes(attrs.get("axis"), ndim)
    elif isinstance(attrs.get("axis"), (int, list)):
        attrs["axis"] = positive_axes(attrs["axis"], ndim)
    spatial(call, attrs, ndim)
    if attrs.get("axis") == [] and call.name in _REDUCING and _is_same(call, operands):
        return operands
    return builder.emit(call.name, operands, attrs, *call.specs)


def _is_same(call: OpCall, operands: list[Value | None]) -> bool:
    """Whether a reduction over no axes gives its operand back."""
    return call.name in ("Sum", "Mean", "Max", "Min", "Prod") and (
        operands[0].dtype == call.output.dtype
    )


def operands_of(call: OpCall, builder: GraphBuilder) -> list[Value | None]:
    """The tensor operands of a call, in the order of its signature, in the dtypes they need."""
    found: list[Any] = []
    skipped = _ATTRIBUTE_ARGUMENTS.get(call.name, ())
    for name, argument in call.arguments.items():
        if name not in skipped:
            found.extend(_flat(argument))
    dtype = _common_dtype(call, found)
    values = [None if o is None else builder.value_of(o, dtype) for o in found]
    if dtype is None:
        dtype = _computing_dtype(call, values)
    if dtype is None:
        return values
    return [None if v is None else builder.cast(v, dtype) for v in values]


def _flat(argument: Any) -> list[Any]:
    """Lists of tensors are flattened; a list of plain numbers is one constant."""
    if isinstance(argument, dict):
        argument = list(argument.values())
    if isinstance(argument, (list, tuple)):
        if not any(_is_tensor(x) for x in tree.flatten(argument)):
            return [np.asarray(argument)] if argument else []
        return [x for item in argument for x in _flat(item)]
    return [argument]


def _is_tensor(obj: Any) -> bool:
    return obj is not None and not isinstance(obj, (bool, int, float, complex, str, slice))


def _common_dtype(call: OpCall, operands: list[Any]) -> str | None:
    if call.name in _PROMOTING:
        return call.output.dtype
    if call.name in _LOGICAL:
        return "bool"
    if call.name in _COMPARING:
        kinds = [
            backend.standardize_dtype(o.dtype) if hasattr(o, "dtype") else type(o)
            for o in operands
            if o is not None
        ]
        return dtypes.result_type(*kinds)
    return None


def _computing_dtype(call: OpCall, values: list[Value | None]) -> str | None:
    """The dtype a one-operand operation casts its operand to, if it does."""
    given = [v for v in values if v is not None]
    if call.name in _KEEPING or len(given) != 1 or not call.flat_outputs:
        return None
    wanted = call.output.dtype
    if given[0].dtype == wanted or "float" in given[0].dtype:
        return None
    return wanted


def attribute_arguments(call: OpCall) -> dict[str, Any]:
    """The arguments of `call` that are no tensors."""
    names = _ATTRIBUTE_ARGUMENTS.get(call.name, ())
    return {name: call.arguments[name] for name in names if call.arguments.get(name) is not None}


def plain(value: Any) -> Any:
    """An attribute as JSON has it: lists, numbers, strings; dtypes by name."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray) and value.size <= 64:
        return value.tolist()
    if isinstance(value, np.dtype) or value in (bool, int, float):
        return backend.standardize_dtype(value)
    raise UnsupportedCall(
        f"an argument is {value!r}, where a number or a list of numbers is expected",
        "Pass a Python number, or write the operation with tensors as operands.",
    )


def positive_axis(axis: int, ndim: int) -> int:
    """`axis` counted from the front."""
    return axis + ndim if axis < 0 else axis


def positive_axes(axis: Any, ndim: int) -> Any:
    """`positive_axis` of an axis or of a list of axes."""
    if isinstance(axis, (list, tuple)):
        return [positive_axis(a, ndim) for a in axis]
    return positive_axis(axis, ndim)


def all_axes(axis: Any, ndim: int) -> list[int]:
    """The axes of a reduction as a sorted list; None means all of them."""
    if axis is None:
        return list(range(ndim))
    return sorted(positive_axes(axis if isinstance(axis, (list, tuple)) else [axis], ndim))


def spatial(call: OpCall, attrs: dict[str, Any], ndim: int) -> None:
    """Makes spatial attributes lists of one integer per axis, and names the data format."""
    if "data_format" not in attrs:
        return
    if attrs["data_format"] is None:
        attrs["data_format"] = backend.config.image_data_format()
    for name in _SPATIAL:
        if isinstance(attrs.get(name), int):
            attrs[name] = [attrs[name]] * (ndim - 2)
    if "pool_size" in attrs and attrs.get("strides") is None:
        attrs["strides"] = attrs["pool_size"]


def emit_creation(
    builder: GraphBuilder, name: str, args: tuple, kwargs: dict, made: keras.KerasTensor
) -> Value:
    """Appends the node of a tensor that is made from sizes alone."""
    shape, dtype = tuple(made.shape), made.dtype
    if name in ("zeros", "ones", "empty", "full"):
        fill = {"zeros": 0, "empty": 0, "ones": 1}.get(name)
        if fill is None:
            fill = kwargs["fill_value"] if "fill_value" in kwargs else args[1]
        value = builder.value_of(fill, dtype)
        return builder.emit(
            "Full", [value], {"shape": list(shape), "dtype": dtype}, (shape, dtype)
        )[0]
    if name == "convert_to_tensor":
        return _sizes(builder, args[0], dtype)
    if name == "broadcast_to":
        value = builder.value_of(args[0] if args else kwargs["x"])
        return builder.emit("BroadcastTo", [value], {"shape": list(shape)}, (shape, dtype))[0]
    if name == "tile":
        return _tiled(builder, *args, **kwargs, made=made)
    attrs = {"dtype": dtype}
    signature = inspect.signature(getattr(keras.ops, name))
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    given = {k: plain(v) for k, v in bound.arguments.items() if k != "dtype"}
    if name == "arange":
        start, stop, step = given["start"], given["stop"], given["step"]
        start, stop = (0, start) if stop is None else (start, stop)
        given = {"start": start, "stop": stop, "step": 1 if step is None else step}
    elif name in ("eye", "identity", "tri"):
        rows = given.get("N", given.get("n"))
        columns = given.get("M")
        given = {"N": rows, "M": rows if columns is None else columns, "k": given.get("k", 0)}
    operation = {"arange": "Arange", "tri": "Tri", "linspace": "Linspace"}.get(name, "Eye")
    return builder.emit(operation, [], {**given, **attrs}, (shape, dtype))[0]


def _sizes(builder: GraphBuilder, sizes: int | list[int], dtype: str) -> Value:
    """A tensor that holds sizes."""
    if isinstance(sizes, int):
        return builder.cast(builder.reshape(builder.size(sizes), ()), dtype)
    values = [builder.size(size) for size in sizes]
    joined = values[0]
    if len(values) > 1:
        joined = builder.emit("Concatenate", values, {"axis": 0}, ((len(sizes),), "int32"))[0]
    return builder.cast(joined, dtype)


def _tiled(builder: GraphBuilder, x: Any, repeats: Any, made: keras.KerasTensor) -> Value:
    """A constant that is repeated as often as sizes say."""
    value = builder.value_of(x)
    repeats = [int(n) for n in np.asarray(repeats).reshape(-1)]
    rank = max(len(repeats), value.ndim)
    repeats = [1] * (rank - len(repeats)) + repeats
    if rank > value.ndim:
        value = builder.reshape(value, (1,) * (rank - value.ndim) + value.shape)
    spec = (tuple(made.shape), made.dtype)
    return builder.emit("Tile", [value], {"repeats": repeats}, spec)[0]
