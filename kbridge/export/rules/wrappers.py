"""Wrappers whose own `call` loops in Python."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kbridge.export import loops, metadata
from kbridge.export.registry import lowers
from kbridge.export.tracing import active_builder, without_layer_outputs


@lowers(keras.layers.TimeDistributed)
def lower_time_distributed(layer: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
    """Time steps become batch entries where that is the same, otherwise the steps of a loop.

    It is the same for Keras's own layers, which treat batch entries one by one at inference. A
    user's layer may do something across the batch, so it gets one time step at a time.
    """
    inner = layer.layer
    if training and inner._call_has_training_arg:
        return _step_by_step(inner, inputs, mask)
    own = all(
        type(entry.layer).__module__.startswith("keras.src.")
        for entry in metadata.model_layers(inner)
    )
    takes_mask = inner._call_has_mask_arg and mask is not None
    with without_layer_outputs():
        return (_as_batch if own else _as_loop)(inner, inputs, mask if takes_mask else None)


def _step_by_step(inner: Any, inputs: Any, mask: Any) -> Any:
    """In training, where layers see the batch as a whole or draw: one call per step, as in Keras.

    NB: where the number of steps is not known the traces differ, and that is refused.
    """
    answers = []
    with without_layer_outputs():
        for i in range(inputs.shape[1]):
            masked = {}
            if inner._call_has_mask_arg and mask is not None:
                masked["mask"] = mask[:, i]
            answers.append(inner.call(inputs[:, i], training=True, **masked))
    return ops.stack(answers, axis=1)


def _as_batch(inner: Any, inputs: Any, mask: Any) -> Any:
    length = inputs.shape[1]
    masked = {} if mask is None else {"mask": ops.reshape(mask, (-1, *mask.shape[2:]))}
    answer = inner.call(ops.reshape(inputs, (-1, *inputs.shape[2:])), **masked)
    return ops.reshape(answer, (-1, length, *answer.shape[1:]))


def _as_loop(inner: Any, inputs: Any, mask: Any) -> Any:
    def step(x: Any, states: tuple) -> tuple[Any, list]:
        if mask is None:
            return inner.call(x), []
        return inner.call(x[0], mask=x[1]), []

    xs = inputs if mask is None else [inputs, mask]
    return loops.scan_rnn(active_builder(), step, xs, [])[1]
