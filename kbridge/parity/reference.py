"""What native Keras answers: outputs, every layer's output by scope, and logits."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np

from kbridge import errors
from kbridge.export.scopes import layer_calls
from kbridge.jvm.structures import Structure
from kbridge.parity.recording import LayerCall, Recording


def record(
    model: keras.Model,
    inputs: Any,
    layers: Callable[[LayerCall], bool] = lambda call: True,
    logits: Sequence[LayerCall] = (),
    change: Callable[[np.ndarray], np.ndarray] | None = None,
    scope: keras.StatelessScope | None = None,
) -> Recording:
    """Runs a Keras model eagerly at inference and records what its layers give.

    Args:
        model: The live model, of any backend.
        inputs: Arrays in the structure that the model is called with.
        layers: Says which layer calls to record; all by default.
        logits: Layer calls whose `activation` function's input is recorded.
        change: Changes every tensor that a layer gives, before the next one gets it; none by
            default.
        scope: Has values of variables to run with, and what the run gives variables; they
            themselves stay as they are. By default what it gives them is lost.

    Returns:
        The outputs, layer outputs and logits as NumPy arrays.
    """
    recording = Recording()
    taps = _ActivationTaps(frozenset(logits), recording.logits)

    def on_exit(layer: keras.layers.Layer, scope: str, call: int, outputs: Any) -> Any:
        taps.leave(layer, scope, call)
        tensors = _concrete_tensors(outputs) if scope else []
        if not tensors:
            return outputs
        if change is not None:
            outputs = _changed(outputs, change)
            tensors = _concrete_tensors(outputs)
        recording.calls.append((scope, call))
        if layers((scope, call)):
            recording.layers[scope, call] = [_to_numpy(t) for t in tensors]
        return outputs

    tensors = keras.tree.map_structure(
        lambda x: None if x is None else keras.ops.convert_to_tensor(x), inputs
    )
    stateless = scope or keras.StatelessScope()
    with _no_gradients(), stateless, taps, layer_calls(model, taps.enter, on_exit):
        outputs = model(tensors, training=False)
    recording.outputs = [_to_numpy(t) for t in keras.tree.flatten(outputs)]
    recording.structure = _structure(outputs)
    return recording


class _ActivationTaps:
    """Stands in for the `activation` of some layers while they run, to see what goes into it."""

    def __init__(self, wanted: frozenset[LayerCall], found: dict[LayerCall, np.ndarray]):
        self._wanted = wanted
        self._found = found
        self._open: list[tuple[keras.layers.Layer, Mapping[str, Any]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        while self._open:
            self._restore(*self._open.pop())

    def enter(self, layer: keras.layers.Layer, scope: str, call: int) -> None:
        activation = getattr(layer, "activation", None)
        if (scope, call) not in self._wanted or not callable(activation):
            return

        def tapped(x: Any, *args: Any, **kwargs: Any) -> Any:
            self._found[scope, call] = _to_numpy(x)
            return activation(x, *args, **kwargs)

        # NB: past __setattr__, which refuses changes to the layers of a built layer.
        self._open.append((layer, {k: v for k, v in vars(layer).items() if k == "activation"}))
        vars(layer)["activation"] = tapped

    def leave(self, layer: keras.layers.Layer, scope: str, call: int) -> None:
        if self._open and self._open[-1][0] is layer and (scope, call) in self._wanted:
            self._restore(*self._open.pop())

    @staticmethod
    def _restore(layer: keras.layers.Layer, original: Mapping[str, Any]) -> None:
        del vars(layer)["activation"]
        vars(layer).update(original)


@contextlib.contextmanager
def _no_gradients() -> Iterator[None]:
    """Keeps PyTorch from holding every activation for a backward pass that never comes."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.no_grad():
        yield


def _structure(outputs: Any) -> Structure:
    if keras.ops.is_tensor(outputs):
        return "*"
    numbers = itertools.count()
    return _plain(keras.tree.map_structure(lambda tensor: next(numbers), outputs))


def _plain(nested: Any) -> Structure:
    if isinstance(nested, Mapping):
        return {key: _plain(part) for key, part in nested.items()}
    if isinstance(nested, (list, tuple)):
        return [_plain(part) for part in nested]
    return nested


def _concrete_tensors(outputs: Any) -> list[Any]:
    """The flat tensors of a layer's answer; none where they have no values (a loop is traced)."""
    tensors = [t for t in keras.tree.flatten(outputs) if keras.ops.is_tensor(t)]
    return tensors if all(map(_has_values, tensors)) else []


def _has_values(tensor: Any) -> bool:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return isinstance(tensor, tf.__internal__.EagerTensor)
    if backend == "jax":
        import jax

        return not isinstance(tensor, jax.core.Tracer)
    if backend == "torch":
        return tensor.device.type != "meta"
    raise errors.KBridgeError(
        "Expected the Keras backend tensorflow, jax or torch to compare with. "
        f"Received: {backend!r}. Set KERAS_BACKEND to one of them."
    )


def _changed(outputs: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    def changed(tensor: Any) -> Any:
        if not keras.ops.is_tensor(tensor):
            return tensor
        result = keras.ops.convert_to_tensor(change(_to_numpy(tensor)))
        # NB: Keras carries a mask from layer to layer as an attribute of the tensor.
        mask = keras.src.backend.get_keras_mask(tensor)
        if mask is not None:
            keras.src.backend.set_keras_mask(result, mask)
        return result

    return keras.tree.map_structure(changed, outputs)


def _to_numpy(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))
