"""Random models, composed of the layers of the layer suite, compared with native Keras.

A model starts from one input of a random rank and size. Each step applies a layer of the suite to
one of the tensors there are, or merges two; what Keras itself does not accept is not counted. The
usual run looks at the same 20 models every time; KBRIDGE_FUZZ=500 looks at 500 new ones.
"""

from __future__ import annotations

import os
from typing import Any

import hypothesis
import keras
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

import kbridge
from tests.layers.harness import Case
from tests.layers.test_layer_coverage import all_cases
from tests.weights import randomise

MODELS = int(os.environ.get("KBRIDGE_FUZZ", "20"))
_MERGES = ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")
_MOST_ELEMENTS = 20_000
# How Keras and TensorFlow refuse a layer on some shape (a window larger than the image).
_REFUSALS = (ValueError, TypeError, IndexError, ArithmeticError, RuntimeError, tf.errors.OpError)
# Integer outputs (bins, classes) jump where a number rounds to the other side of a boundary, and
# these make integers of what may be any number by now.
_JUMPS = ("Discretization", "Embedding", "Equalization", "Hashing", "IntegerLookup")


# NB: TensorFlow's own oneDNN divides by zero in some of these and takes the process with it.
_DEADLY = "AdaptiveMaxPooling"


def _usable(case: Case) -> bool:
    plain = len(case.inputs) == 1 and case.inputs[0].dtype == "float32"
    own = case.call or case.model or case.refusal or case.arrays
    jumps = case.layer.startswith((*_JUMPS, _DEADLY)) or case.layer in (
        "CategoryEncoding",
        "Lambda",
    )
    policy = not callable(case.config) and "dtype" in case.config
    return plain and not own and not jumps and not policy


CASES = {
    rank: [c for c in all_cases() if _usable(c) and len(c.inputs[0].shape) == rank]
    for rank in (1, 2, 3, 4)
}


def _step(data: st.DataObject, tensors: list[Any]) -> Any:
    """A new tensor, or None where Keras does not accept the choice."""
    x = data.draw(st.sampled_from(tensors), label="of")
    same = [t for t in tensors if t is not x and tuple(t.shape) == tuple(x.shape)]
    try:
        if same and data.draw(st.booleans(), label="merge"):
            name = data.draw(st.sampled_from(_MERGES), label="merge with")
            return getattr(keras.layers, name)()([x, data.draw(st.sampled_from(same))])
        rank = len(x.shape) - 1
        if rank not in CASES:
            return keras.layers.Reshape((-1, x.shape[-1]))(x) if rank else None
        case = data.draw(st.sampled_from(CASES[rank]), label="layer")
        return case.make_layer()(x)
    except _REFUSALS as e:
        hypothesis.note(f"Keras refuses: {str(e).splitlines()[0]}")
        return None


def _acceptable(made: Any) -> bool:
    known = all(isinstance(size, int) and size > 0 for size in made.shape[1:])
    return (
        known
        and int(np.prod(made.shape[1:])) <= _MOST_ELEMENTS
        and keras.backend.standardize_dtype(made.dtype) == "float32"
    )


def _compose(data: st.DataObject) -> keras.Model:
    shape = data.draw(st.lists(st.integers(2, 9), min_size=1, max_size=4), label="input")
    x = keras.Input(shape)
    tensors = [x]
    for _ in range(data.draw(st.integers(1, 7), label="steps")):
        made = _step(data, tensors)
        for tensor in keras.tree.flatten(made):
            if tensor is not None and _acceptable(tensor):
                tensors.append(tensor)
    hypothesis.assume(len(tensors) > 1)
    outputs = tensors[-2:] if data.draw(st.booleans(), label="two outputs") else tensors[-1]
    return randomise(keras.Model(x, outputs))


def _natively_possible(model: keras.Model, x: np.ndarray) -> None:
    try:
        model(x, training=False)
    except _REFUSALS:
        hypothesis.reject()


@hypothesis.settings(
    max_examples=MODELS,
    deadline=None,
    derandomize=MODELS == 20,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
)
@hypothesis.given(data=st.data())
def _every_model_matches(data: st.DataObject) -> None:
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    model = _compose(data)
    shape = (3, *model.inputs[0].shape[1:])
    seed = data.draw(st.integers(0, 99), label="seed")
    x = np.random.default_rng(seed).normal(size=shape).astype("float32")
    _natively_possible(model, x)
    report = kbridge.check(model, x, allow_nan=True)
    assert report.ok, f"{[layer.get_config() for layer in model.layers]}\n{report}"


def test_random_models(jvm: Any) -> None:
    _every_model_matches()
