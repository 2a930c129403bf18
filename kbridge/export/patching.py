"""The one place that reaches into Keras's internals, so that a model runs on symbolic tensors.

Keras can run `layer.call` on `KerasTensor`s, which have a shape and a dtype but no values; every
`keras.ops` function then asks an `Operation` for its output's shape. `symbolic_execution` lets a
whole model run that way and hands each operation to a recorder. While it is active:

- a variable counts as a symbolic tensor, so that what is computed of weights alone is recorded too;
- `backend.numpy.add(x)` and the like, as layers call them past `keras.ops`, go to `keras.ops`;
- no graph node is added to the user's model.

All of it is undone at the end of the block, whatever happens in it.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

_LOCK = threading.RLock()

# Modules of Keras whose functions may meet symbolic tensors; the backends' own code may not.
_USES_BACKEND = tuple(
    f"keras.src.{package}"
    for package in (
        "layers",
        "activations",
        "losses",
        "metrics",
        "regularizers",
        "constraints",
        "utils",
        "backend.common.variables",
    )
)


class Recorder(Protocol):
    """What `symbolic_execution` tells about a run.

    Attributes:
        steps: Whether losses are collected, as a training or evaluation step needs them.
        training: Whether layers run as in training: random numbers are drawn.
    """

    steps: bool
    training: bool

    def operation(self, op: Any, args: tuple, kwargs: dict) -> Any:
        """An operation was called on symbolic tensors; returns its outputs."""

    def layer(self, layer: Any, args: tuple, kwargs: dict) -> Any:
        """A layer was called on symbolic tensors; returns its outputs."""

    def variable(self, variable: Any) -> Any:
        """Returns the symbolic tensor that stands for a variable."""

    def creation(self, name: str, args: tuple, kwargs: dict, run: Callable) -> Any:
        """A tensor was made from sizes alone (zeros, arange...); returns it."""

    def assignment(self, variable: Any, value: Any) -> Any:
        """A variable is given a new value, which is returned; raises where no state is kept."""

    def rnn(self, step: Callable, inputs: Any, states: Any, **kwargs: Any) -> tuple:
        """A recurrent layer runs its step over time; takes and returns what `backend.rnn` does."""

    def random(self) -> None:
        """Random numbers were asked for; raises, because their values cannot be the same."""

    def draws(self) -> dict[str, Callable]:
        """What stands for the functions of `backend.random` in a step."""

    def custom_gradient(self, function: Callable) -> None:
        """A function with a gradient of its own is called in training; raises."""


class _Namespace:
    """A stand-in for a module: some names replaced, the others its own."""

    def __init__(self, original: Any, replaced: dict[str, Any]):
        self.__dict__.update(replaced)
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class _OpsNamespace:
    """Stands for a module of the backend: a name that `keras.ops` has is taken from there."""

    def __init__(self, original: Any, name: str):
        import keras

        self._original = original
        self._places = (getattr(keras.ops, name, None), keras.ops)

    def __getattr__(self, name: str) -> Any:
        for place in self._places:
            if hasattr(place, name):
                return getattr(place, name)
        return getattr(self._original, name)


def _no_fused_kernel(*args: Any, **kwargs: Any) -> None:
    """Keras's fused LSTM and GRU say so where they cannot run; the layer then runs its cell."""
    raise NotImplementedError


def _symbolic_backend(backend: Any, recorder: Recorder) -> _Namespace:
    import keras

    modules = ("numpy", "nn", "core", "math", "linalg", "image")
    replaced: dict[str, Any] = {
        name: _OpsNamespace(getattr(backend, name), name) for name in modules
    }
    for name in (
        "cast",
        "cond",
        "convert_to_tensor",
        "scatter",
        "shape",
        "stop_gradient",
        "vectorized_map",
    ):
        replaced[name] = getattr(keras.ops, name)
    # NB: Keras takes shortcuts with functions of TensorFlow where the name ends in "tensorflow".
    replaced["__name__"] = "keras.ops"
    replaced.update(rnn=recorder.rnn, lstm=_no_fused_kernel, gru=_no_fused_kernel)
    if recorder.steps:
        replaced["is_tensor"] = lambda x: isinstance(x, keras.KerasTensor) or backend.is_tensor(x)
    if recorder.steps:
        replaced["random"] = _Namespace(backend.random, recorder.draws())
    return _Namespace(backend, replaced)


def _symbolic_core(backend: Any, recorder: Recorder) -> _Namespace:
    """Loops and branches are operations always: their functions may see symbolic tensors.

    A tensor made of sizes alone is told to the recorder, as `_recorded_creations` does.
    """
    from keras.src.ops import core

    def convert_to_tensor(x: Any, **kwargs: Any) -> Any:
        run = backend.core.convert_to_tensor
        sizes = x if isinstance(x, (list, tuple)) else [x]
        if not sizes or any(type(size) is not int for size in sizes):
            return run(x, **kwargs)
        return recorder.creation("convert_to_tensor", (x,), kwargs, run)

    def cond(pred: Any, true_fn: Callable, false_fn: Callable) -> Any:
        return true_fn() if pred else false_fn()

    def scan(f: Callable, init: Any, xs: Any, length: Any, reverse: bool, unroll: Any) -> Any:
        return core.Scan(length=length, reverse=reverse).symbolic_call(f, init, xs)

    def while_loop(test: Any, body: Any, loop_vars: Any, maximum_iterations: Any = None) -> Any:
        return core.WhileLoop(test, body, maximum_iterations).symbolic_call(loop_vars)

    def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any) -> Any:
        return core.ForiLoop(lower, upper, body_fun).symbolic_call(init_val)

    replaced = {
        "convert_to_tensor": convert_to_tensor,
        "cond": cond,
        "scan": scan,
        "while_loop": while_loop,
        "fori_loop": fori_loop,
        "map": lambda f, xs: core.Map().symbolic_call(f, xs),
        "vectorized_map": lambda f, xs: core.VectorizedMap(f).symbolic_call(xs),
        "switch": lambda i, branches, *xs: core.Switch().symbolic_call(i, branches, *xs),
        "associative_scan": lambda f, elems, reverse=False, axis=0: core.AssociativeScan(
            reverse=reverse, axis=axis
        ).symbolic_call(f, elems),
    }
    return _Namespace(backend, {"core": _Namespace(backend.core, replaced)})


_CREATIONS = (
    "arange",
    "broadcast_to",
    "empty",
    "eye",
    "full",
    "identity",
    "linspace",
    "ones",
    "tile",
    "tri",
    "zeros",
)


def _recorded_creations(backend: Any, recorder: Recorder) -> _Namespace:
    def wrap(name: str) -> Callable:
        run = getattr(backend.numpy, name)
        return lambda *args, **kwargs: recorder.creation(name, args, kwargs, run)

    numpy = _Namespace(backend.numpy, {name: wrap(name) for name in _CREATIONS})
    return _Namespace(backend, {"numpy": numpy})


class _Patches:
    """Replaced attributes, put back in reverse order."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        self._undo.append((owner, name, owner.__dict__[name]))
        setattr(owner, name, value)

    def undo(self) -> None:
        while self._undo:
            owner, name, value = self._undo.pop()
            setattr(owner, name, value)


def _holders(prefixes: tuple[str, ...], name: str, value: Any) -> list[Any]:
    """Modules below `prefixes` whose global `name` is `value`."""
    below = _modules_below(prefixes, len(sys.modules))
    return [module for module in below if vars(module).get(name) is value]


@functools.lru_cache(maxsize=16)
def _modules_below(prefixes: tuple[str, ...], loaded: int) -> list[Any]:
    """The modules below `prefixes`, kept for as long as the number of loaded ones stays.

    A process that has TensorFlow has thousands: to go through their names takes milliseconds.
    """
    modules = list(sys.modules.items())
    return [module for module_name, module in modules if module_name.startswith(prefixes)]


def _any_symbolic(original: Callable) -> Callable:
    import keras

    def any_symbolic_tensors(args: Any = None, kwargs: Any = None) -> bool:
        if original(args, kwargs):
            return True
        values = keras.tree.flatten((args or (), kwargs or {}))
        return any(isinstance(value, keras.Variable) for value in values)

    return any_symbolic_tensors


def _stateless_scope(recorder: Recorder) -> Any:
    from keras.src.backend.common.stateless_scope import StatelessScope

    class SymbolicVariables(StatelessScope):
        """Gives a symbolic value to every variable that is read."""

        def get_current_value(self, variable: Any) -> Any:
            updated = super().get_current_value(variable)
            return recorder.variable(variable) if updated is None else updated

    return SymbolicVariables(collect_losses=recorder.steps, initialize_variables=False)


@contextlib.contextmanager
def symbolic_execution(recorder: Recorder) -> Iterator[None]:
    """Runs the block's Keras calls symbolically and reports them to `recorder`.

    Args:
        recorder: Gets each operation, layer call, variable and creation, in execution order.

    Only one thread at a time can be inside; others wait.
    """
    from keras.src import backend
    from keras.src.backend.common import keras_tensor
    from keras.src.backend.common.variables import Variable
    from keras.src.layers.layer import Layer
    from keras.src.ops import core as ops_core
    from keras.src.ops import numpy as ops_numpy
    from keras.src.ops.operation import Operation

    any_symbolic = keras_tensor.any_symbolic_tensors
    no_node = lambda **kwargs: None  # noqa: E731
    symbolic = _symbolic_backend(backend, recorder)
    patches = _Patches()
    with _LOCK, _stateless_scope(recorder):
        try:
            patched_any = _any_symbolic(any_symbolic)
            for module in _holders(("keras.src",), "any_symbolic_tensors", any_symbolic):
                patches.set(module, "any_symbolic_tensors", patched_any)
            for name in ("keras.src.ops.operation", "keras.src.layers.layer"):
                patches.set(sys.modules[name], "Node", no_node)
            for module in _holders(_USES_BACKEND, "backend", backend):
                patches.set(module, "backend", symbolic)
            patches.set(ops_numpy, "backend", _recorded_creations(backend, recorder))
            patches.set(ops_core, "backend", _symbolic_core(backend, recorder))
            patches.set(
                Operation, "symbolic_call", lambda op, *a, **k: recorder.operation(op, a, k)
            )
            patches.set(Layer, "symbolic_call", lambda op, *a, **k: recorder.layer(op, a, k))
            if not recorder.steps:
                patches.set(Layer, "add_loss", lambda self, loss: None)
            _patch_preprocessing(patches, symbolic)
            _patch_gradients(patches, recorder)
            _patch_autocast(patches)
            patches.set(Variable, "assign", lambda self, value: recorder.assignment(self, value))
            # NB: recurrent cells draw dropout's masks in evaluation too: their seeds move on there.
            if recorder.steps:
                _patch_draws(patches, backend, symbolic)
            else:
                _patch_dropout_masks(patches)
                _patch_random(patches, recorder)
            yield
        finally:
            patches.undo()


def _patch_preprocessing(patches: _Patches, symbolic: _Namespace) -> None:
    """Preprocessing layers hold a `DynamicBackend` of their own; it too gives `keras.ops`."""
    from keras.src.utils.backend_utils import DynamicBackend

    original = DynamicBackend.__getattr__

    def get(self: Any, name: str) -> Any:
        replaced = symbolic.__dict__.get(name)
        return original(self, name) if replaced is None else replaced

    patches.set(DynamicBackend, "__getattr__", get)


def _patch_autocast(patches: _Patches) -> None:
    """Variables of mixed precision are cast when they are read, past `keras.ops`."""
    import keras
    from keras.src.backend.common.variables import AutocastScope, is_float_dtype

    def maybe_cast(self: Any, value: Any) -> Any:
        if self.dtype is None or not is_float_dtype(value.dtype):
            return value
        return keras.ops.cast(value, self.dtype)

    patches.set(AutocastScope, "maybe_cast", maybe_cast)


def _patch_dropout_masks(patches: _Patches) -> None:
    """Recurrent cells draw dropout's masks at inference too, and use them in training alone."""
    from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

    for name in ("get_dropout_mask", "get_recurrent_dropout_mask"):
        patches.set(DropoutRNNCell, name, lambda self, step_input: None)


def _patch_gradients(patches: _Patches, recorder: Recorder) -> None:
    """A function with a gradient of its own gives its value alone: no gradient is asked for."""
    from keras.src.ops import core

    def value_alone(function: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            if recorder.training:
                recorder.custom_gradient(function)
            return function(*args, **kwargs)[0]

        return call

    original = core.custom_gradient
    for module in _holders(("keras",), "custom_gradient", original):
        patches.set(module, "custom_gradient", value_alone)


def _patch_random(patches: _Patches, recorder: Recorder) -> None:
    from keras.src.random import seed_generator

    def refuse(seed: Any) -> None:
        recorder.random()

    original = seed_generator.draw_seed
    for module in _holders(("keras.src",), "draw_seed", original):
        patches.set(module, "draw_seed", refuse)


def _patch_draws(patches: _Patches, backend: Any, symbolic: _Namespace) -> None:
    """In a step the state of a seed generator is a variable like any other."""
    import keras
    from keras.src.random import random, seed_generator

    def following(self: Any, ordered: bool = True) -> Any:
        state = self.state
        drawn = state.value
        if ordered:
            state.assign(keras.ops.add(drawn, keras.ops.convert_to_tensor([0, 1], drawn.dtype)))
        else:
            state.assign((drawn + 1) * 5387 % 933199)
        return drawn

    patches.set(seed_generator.SeedGenerator, "next", following)
    patches.set(sys.modules["keras.src.ops"], "random", symbolic.random)
    for module in _holders(("keras.src.random",), "backend", backend):
        patches.set(module, "backend", symbolic)
    assert random.backend is symbolic
