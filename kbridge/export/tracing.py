"""Tracing: runs a model once on symbolic tensors and writes down every operation it does.

The whole model is called as any Keras model is called, so sequential, functional, nested, shared
and subclassed models, masks and mixed precision all take the way they take in Keras. Sizes that are
only known at call time are given numbers for the trace; `kbridge.export.sizes` compares
traces with different numbers to find out where they went.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import tree
from keras.src import backend

from kbridge import errors
from kbridge.export import explain, loops, normalise, registry, scopes
from kbridge.export.graph import GraphBuilder, LayerOutput, Value
from kbridge.export.patching import symbolic_execution
from kbridge.export.trace import InputSpec, Trace, TraceAborted, UnsupportedCall

_ACTIVE: contextvars.ContextVar[Tracer] = contextvars.ContextVar("kbridge_tracer")


def active_builder() -> GraphBuilder:
    """Returns the builder of the trace that is running; for lowering rules."""
    return _ACTIVE.get().builder


def emit_node(
    op: str, tensors: Sequence[Any], attrs: dict[str, Any], *specs: tuple[Sequence[int], str]
) -> Any:
    """Writes one node into the bundle; for lowering rules whose operation is the user's, in Java.

    Args:
        op: The operation's name: what an `io.kbridge.plan.OpMappings` registers.
        tensors: Its operands: what the rule was given or computed, weights, arrays, numbers.
        attrs: Its attributes: numbers, strings, booleans and lists of them.
        *specs: Shape and dtype of each output.

    Returns:
        The output as a symbolic tensor, or a list of them if there are several.

    Example:
        >>> kbridge.emit_node("Clamp", [x], {"limit": 2.0}, (x.shape, x.dtype))
    """
    builder = active_builder()
    operands = [builder.value_of(_variable_value(tensor)) for tensor in tensors]
    values = builder.emit(op, operands, attrs, *specs)
    outputs = [keras.KerasTensor(value.shape, value.dtype) for value in values]
    for output, value in zip(outputs, values, strict=True):
        builder.bind(output, value)
    return outputs[0] if len(outputs) == 1 else outputs


def active_tracer() -> Tracer:
    """Returns the tracer that is running; for what is traced of more than a model's call."""
    return _ACTIVE.get()


@contextlib.contextmanager
def without_layer_outputs() -> Iterator[None]:
    """In the block, layer calls are not told in `layer_outputs`.

    For rules that call a layer once where Keras calls it several times, so that parity does not
    compare answers that are no counterparts.
    """
    tracer = _ACTIVE.get()
    tracer.unreported += 1
    try:
        yield
    finally:
        tracer.unreported -= 1


class Tracer:
    """Records operations into a `Trace`; the `Recorder` of `symbolic_execution`."""

    steps = False
    training = False

    def __init__(
        self,
        trace: Trace,
        weight_name: Callable[[keras.Variable], str],
        symbolic_creations: frozenset[int],
        states: frozenset[int] = frozenset(),
    ):
        self.trace = trace
        self.builder = trace.builder
        self._weight_name = weight_name
        self._states = states
        self._symbolic_creations = symbolic_creations
        self._placeholders: dict[int, keras.KerasTensor] = {}
        self._scopes: list[tuple[str, str]] = []
        self._muted = False
        self.unreported = 0

    # Calls of the patched Keras.

    def operation(self, op: Any, args: tuple, kwargs: dict) -> Any:
        """An operation was called; records it."""
        args, kwargs = tree.map_structure(_variable_value, (args, kwargs))
        if self._muted:
            return op.compute_output_spec(*args, **kwargs)
        rule = registry.rule_for(op)
        if rule is not None:
            return rule(op, *args, **kwargs)
        if not type(op).__module__.startswith("keras.src.ops.") or isinstance(op, keras.Function):
            return op.call(*args, **kwargs)
        args = normalise.operands(op, args)
        unchanged = normalise.unchanged(op, args, kwargs)
        if unchanged is not None:
            return unchanged
        outputs = normalise.output_spec(op, args, kwargs)
        call = normalise.OpCall(op, args, kwargs, outputs)
        try:
            values = normalise.emit(call, self.builder)
        except UnsupportedCall as e:
            self._problem(type(op).__name__, str(e), e.advice)
            values = [
                self.builder.add(
                    Value(self.builder.unique("unsupported"), tuple(t.shape), t.dtype, "node")
                )
                for t in call.flat_outputs
            ]
        for tensor, value in zip(call.flat_outputs, values, strict=True):
            self.builder.bind(tensor, value)
        return outputs

    def layer(self, layer: Any, args: tuple, kwargs: dict) -> Any:
        """A layer was called; runs its `call`."""
        if self._muted:
            return layer.compute_output_spec(*args, **kwargs)
        run = registry.rule_for(layer)
        if run is not None:
            args = (layer, *args)
        elif getattr(layer, "quantization_mode", None) is not None:
            run = _quantized_call(layer)
        else:
            run = layer.call
        depth = len(self._scopes)
        try:
            return run(*args, **kwargs)
        except (TraceAborted, MemoryError):
            raise
        # NB: a user's `call` can raise anything; it is reported with all other problems.
        except Exception as e:  # noqa: BLE001
            del self._scopes[depth:]
            self._set_scope()
            self._problem(type(layer).__name__, explain.reason(e), explain.advice(e))
            return self._inferred(layer, args, kwargs, is_rule=run is not layer.call)

    def variable(self, variable: keras.Variable) -> keras.KerasTensor:
        """Gives the symbolic tensor of a variable."""
        tensor = self._placeholders.get(id(variable))
        if tensor is None:
            # NB: the stored dtype; `variable.dtype` is what mixed precision casts it to on reading.
            dtype = keras.backend.standardize_dtype(variable._dtype)
            tensor = keras.KerasTensor(variable.shape, dtype)
            self._placeholders[id(variable)] = tensor
            name = self._weight_name(variable)
            value = Value(name, tuple(variable.shape), dtype, "weight")
            self.builder.bind(tensor, self.builder.add(value))
            self.builder.variables[name] = variable
        return tensor

    def creation(self, name: str, args: tuple, kwargs: dict, run: Callable) -> Any:
        """A tensor was made from sizes; records it where they are unknown."""
        made = run(*args, **kwargs)
        if self._muted:
            return made
        ordinal = len(self.trace.creations)
        self.trace.creations.append((name, repr((args, sorted(kwargs.items())))))
        if ordinal not in self._symbolic_creations:
            return made
        dtype = keras.backend.standardize_dtype(made.dtype)
        tensor = keras.KerasTensor(tuple(made.shape), dtype)
        value = normalise.emit_creation(self.builder, name, args, kwargs, tensor)
        self.builder.bind(tensor, value)
        return tensor

    def rnn(self, step: Callable, inputs: Any, states: Any, **kwargs: Any) -> tuple:
        """A recurrent layer runs; its step becomes a loop."""
        return loops.scan_rnn(self.builder, step, inputs, states, **kwargs)

    def assignment(self, variable: keras.Variable, value: Any) -> Any:
        """A variable is assigned to: kept for the next call if it is a state, else refused."""
        if id(variable) not in self._states:
            raise UnsupportedCall(
                f"it changes its variable {variable.path!r} when it is called, and a bundle keeps "
                "states of recurrent layers alone from call to call",
                "Take the state as an input of the model and give it back as an output.",
            )
        return self._give(variable, value)

    def _give(self, variable: keras.Variable, value: Any) -> Any:
        """Records what a variable is given; later readers read that."""
        if self._muted:
            return value
        dtype = backend.standardize_dtype(variable._dtype)
        value = keras.ops.convert_to_tensor(value, dtype=dtype)
        if tuple(value.shape) != tuple(variable.shape):
            raise ValueError(
                f"Expected a value of shape {tuple(variable.shape)} for {variable.path!r}. "
                f"Received: {tuple(value.shape)}."
            )
        if self.builder.depth:
            raise UnsupportedCall(
                f"it changes its variable {variable.path!r} inside a loop or branch",
                "Give the new value back as a state of the loop, and assign it after the loop.",
            )
        name = self.variable_name(variable)
        read = self._read_from_now(name, value)
        self.trace.updates.append((name, self.builder.value_of(read)))
        backend.get_stateless_scope().add_update((variable, read))
        return read

    def _read_from_now(self, name: str, value: Any) -> Any:
        """What readers of a variable get that was given a value."""
        return value

    def variable_name(self, variable: keras.Variable) -> str:
        """The bundle's name of a variable; reading it makes sure that the graph knows it."""
        return self.builder.value_of(self.variable(variable)).name

    def draws(self) -> dict[str, Callable]:
        """Only steps draw random numbers."""
        raise AssertionError("only steps draw random numbers")

    def custom_gradient(self, function: Callable) -> None:
        """Only training needs gradients."""
        raise AssertionError("only training needs gradients")

    def random(self) -> None:
        """Random numbers are drawn; refused."""
        raise UnsupportedCall(
            "it draws random numbers at inference, which no other engine can draw the same",
            "Draw random numbers only when `training` is true, or pass them in as an input.",
        )

    # Scopes.

    def on_enter(self, layer: Any, scope: str, call: int) -> None:
        """A layer call begins."""
        self._scopes.append((scope, type(layer).__name__))
        self._set_scope()

    def on_exit(self, layer: Any, scope: str, call: int, outputs: Any) -> Any:
        """A layer call ends."""
        self._scopes.pop()
        self._set_scope()
        tensors = [t for t in tree.flatten(outputs) if isinstance(t, keras.KerasTensor)]
        # NB: inside a loop's body a layer has an answer per step, none of the whole.
        hidden = self._muted or self.builder.depth or self.unreported
        if scope and tensors and not hidden:
            values = [self.builder.value_of(t) for t in tensors]
            self.trace.layer_outputs.append(LayerOutput(scope, call, type(layer).__name__, values))
        return outputs

    def _set_scope(self) -> None:
        self.builder.scope = self._scopes[-1][0] if self._scopes else ""

    def _problem(self, class_name: str, reason: str, advice: str) -> None:
        path = self.builder.scope or "(model)"
        self.problem(path, class_name, reason, advice or explain.DEFAULT_ADVICE)

    def problem(self, path: str, class_name: str, reason: str, advice: str) -> None:
        """Notes something that cannot be expressed."""
        problem = errors.Problem(path, class_name, reason, advice)
        if problem not in self.trace.problems:
            self.trace.problems.append(problem)

    def _inferred(self, layer: Any, args: tuple, kwargs: dict, is_rule: bool) -> Any:
        """Outputs by shape inference alone, so that the rest of the model is looked at too."""
        args = args[1:] if is_rule and args and args[0] is layer else args
        self._muted = True
        try:
            outputs = layer.compute_output_spec(*args, **kwargs)
        # NB: what failed once fails in any way again here; the problem itself is already noted.
        except Exception as e:
            raise TraceAborted from e
        finally:
            self._muted = False
        for tensor in tree.flatten(outputs):
            name = self.builder.unique("unsupported")
            value = Value(name, tuple(tensor.shape), tensor.dtype, "node")
            self.builder.bind(tensor, self.builder.add(value))
        return outputs


# How layers may be quantised; for each there are parity cases.
_QUANTIZATIONS = ("int8", "int4")


def _quantized_call(layer: Any) -> Callable:
    if layer.quantization_mode in _QUANTIZATIONS:
        return layer.quantized_call

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedCall(
            f"it is quantised to {layer.quantization_mode}, of which kbridge does not know that "
            "the JVM rounds as Keras does",
            f"Quantise it to one of {', '.join(_QUANTIZATIONS)}, or export it as it was before.",
        )

    return refuse


def trace_model(
    call: Callable[[Any], Any],
    root: Any,
    inputs: list[InputSpec],
    pack: Callable[[list[Any]], Any],
    sizes: list[tuple[int, ...]],
    weight_name: Callable[[keras.Variable], str],
    symbolic_creations: frozenset[int] = frozenset(),
    tracer_class: type[Tracer] = Tracer,
) -> Trace:
    """Runs a model symbolically.

    Args:
        call: Calls the model on the packed inputs.
        root: The model, whose own name is no part of scopes.
        inputs: The flat inputs.
        pack: Puts flat symbolic tensors into the structure the model takes.
        sizes: Concrete shape of each input for this trace.
        weight_name: Gives a variable's bundle name.
        symbolic_creations: Ordinals of creation calls that depend on sizes and are recorded.
        tracer_class: What records the run.

    Returns:
        The trace; its `problems` list says what could not be expressed.
    """
    builder = GraphBuilder()
    trace = Trace(builder, [])
    tensors = []
    for spec, shape in zip(inputs, sizes, strict=True):
        tensor = keras.KerasTensor(shape, spec.dtype, name=spec.name)
        value = builder.add(Value(spec.name, tuple(shape), spec.dtype, "input"))
        builder.bind(tensor, value)
        trace.inputs.append(value)
        tensors.append(tensor)
    tracer = tracer_class(trace, weight_name, symbolic_creations)
    token = _ACTIVE.set(tracer)
    try:
        with (
            symbolic_execution(tracer),
            scopes.layer_calls(root, tracer.on_enter, tracer.on_exit),
        ):
            outputs = call(pack(tensors))
            trace.output_structure = tree.map_structure(_value_reader(builder), outputs)
    except TraceAborted:
        assert trace.problems  # what stopped the run is told there
    finally:
        _ACTIVE.reset(token)
    return trace


def _value_reader(builder: GraphBuilder) -> Callable[[Any], Value]:
    return lambda tensor: builder.value_of(_variable_value(tensor))


def _variable_value(obj: Any) -> Any:
    return obj.value if isinstance(obj, keras.Variable) else obj
