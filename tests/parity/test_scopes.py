"""The scope bookkeeping that export and parity share."""

import threading

import keras
import numpy as np
import pytest

from kbridge.export.scopes import layer_calls

ORIGINAL = keras.layers.Layer.__call__


def calls_of(model, *args, root="model", run=None):
    seen = []
    with layer_calls(
        model if root == "model" else root,
        on_exit=lambda layer, scope, call, outputs: seen.append((scope, call)) or outputs,
    ):
        (run or model)(*args)
    assert keras.layers.Layer.__call__ is ORIGINAL
    return seen


def dense(name, units=2):
    return keras.layers.Dense(units, name=name)


def x(rows=2, columns=2):
    return np.ones((rows, columns), "float32")


def test_functional_layers_are_named_below_the_root():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, dense("b")(dense("a")(inputs)), name="root")
    assert calls_of(model, x()) == [("a", 0), ("b", 0), ("", 0)]


def test_sequential_layers_are_named_below_the_root():
    model = keras.Sequential([keras.Input((2,)), dense("a"), dense("b")], name="root")
    assert calls_of(model, x()) == [("a", 0), ("b", 0), ("", 0)]


def test_call_past_dunder_call_gives_the_same_scopes():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, dense("b")(dense("a")(inputs)))
    symbolic = keras.KerasTensor((None, 2))
    assert calls_of(model, symbolic, run=model.call) == [("a", 0), ("b", 0)]


def test_nested_model_is_part_of_the_path():
    inner = keras.Sequential([keras.Input((2,)), dense("a")], name="inner")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, dense("a")(inner(inputs)))
    assert calls_of(model, x()) == [("inner/a", 0), ("inner", 0), ("a", 0), ("", 0)]


def test_shared_layer_counts_its_calls():
    shared = dense("shared")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, shared(shared(inputs)))
    assert calls_of(model, x()) == [("shared", 0), ("shared", 1), ("", 0)]


def test_shared_nested_model_counts_its_childrens_calls():
    inner = keras.Sequential([keras.Input((2,)), dense("a")], name="inner")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, inner(inner(inputs)))
    assert calls_of(model, x())[:-1] == [("inner/a", 0), ("inner", 0), ("inner/a", 1), ("inner", 1)]


def test_sublayers_of_a_layer_are_part_of_the_path():
    layer = keras.layers.MultiHeadAttention(1, 2, name="mha")
    inputs = keras.Input((3, 2))
    model = keras.Model(inputs, layer(inputs, inputs))
    scopes = [scope for scope, _ in calls_of(model, np.ones((1, 3, 2), "float32"))]
    assert scopes[:3] == ["mha/query", "mha/key", "mha/value"]
    assert scopes[-2:] == ["mha", ""]


class Recursive(keras.layers.Layer):
    """Calls itself a few times before it answers."""

    def call(self, inputs, depth=2):
        return self(inputs, depth=depth - 1) + 1 if depth else inputs


def test_layer_that_calls_itself():
    layer = Recursive(name="r")
    assert calls_of(layer, x(), root=None) == [("r/r/r", 0), ("r/r", 0), ("r", 0)]
    assert calls_of(layer, x()) == [("r/r", 0), ("r", 0), ("", 0)]


class Failing(keras.layers.Layer):
    """Raises on every eager call."""

    def call(self, inputs):
        raise RuntimeError("no")


def test_exception_restores_and_leaves_the_scope():
    failing, seen = Failing(name="f"), []
    with layer_calls(
        on_exit=lambda layer, scope, call, outputs: seen.append((scope, call)) or outputs
    ):
        with pytest.raises(RuntimeError, match="no"):
            failing(x())
        dense("after")(x())
    assert seen == [("after", 0)]
    with pytest.raises(ValueError, match="outside"), layer_calls():
        raise ValueError("outside")
    assert keras.layers.Layer.__call__ is ORIGINAL


def test_on_enter_comes_before_the_children_and_outputs_are_passed():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, dense("a")(inputs))
    entered, outputs = [], {}
    with layer_calls(
        model,
        on_enter=lambda layer, scope, call: entered.append((layer.name, scope)),
        on_exit=lambda layer, scope, call, out: outputs.setdefault(scope, out),
    ):
        answer = model(x())
    assert entered == [(model.name, ""), ("a", "a")]
    assert outputs[""] is answer


def test_other_threads_are_not_reported():
    layer, seen = dense("mine"), []
    other = dense("other")
    other(x())
    with layer_calls(on_exit=lambda layer, scope, call, outputs: seen.append(scope) or outputs):
        thread = threading.Thread(target=other, args=(x(),))
        thread.start()
        thread.join(30)
        layer(x())
    assert not thread.is_alive()
    assert seen == ["mine"]


def test_hooks_nest():
    inner, outer, layer = [], [], dense("a")
    with layer_calls(on_exit=lambda la, scope, call, out: outer.append((scope, call)) or out):
        layer(x())
        with layer_calls(on_exit=lambda la, scope, call, out: inner.append((scope, call)) or out):
            layer(x())
    assert (outer, inner) == ([("a", 0), ("a", 1)], [("a", 0)])
    assert keras.layers.Layer.__call__ is ORIGINAL
