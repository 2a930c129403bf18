"""Whole models: sequential, functional, nested, shared, subclassed; structured inputs and outputs.

Each counts for the layer it is about most.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from tests.layers.harness import Case, In, compare, layer_test

X = (In((5,)),)
TWO = (In((5,)), In((3,)))


def _sequential() -> keras.Model:
    return keras.Sequential([keras.Input((5,)), layers.Dense(4, "relu"), layers.Dense(2)])


def _deferred() -> keras.Model:
    model = keras.Sequential([layers.Dense(4), layers.Dropout(0.5), layers.Dense(3, "softmax")])
    model.build((None, 5))
    return model


def _nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, "tanh")], name="inner")
    x = keras.Input((5,))
    y = layers.Dense(4)(x)
    middle = keras.Input((4,))
    outer = keras.Model(middle, inner(middle) + inner(inner(middle)), name="outer")
    return keras.Model(x, outer(y))


def _shared() -> keras.Model:
    a, b = keras.Input((5,)), keras.Input((5,))
    dense = layers.Dense(3, "relu")
    return keras.Model([a, b], layers.Subtract()([dense(a), dense(b)]))


def _branches() -> keras.Model:
    x = keras.Input((6, 6, 3))
    y = layers.Conv2D(3, 3, padding="same", activation="relu")(x)
    z = layers.Add()([x, y])
    pooled = layers.GlobalAveragePooling2D()(z)
    return keras.Model(x, [layers.Dense(2, name="a")(pooled), layers.Flatten(name="b")(z), z])


def _dicts() -> keras.Model:
    inputs = {"left": keras.Input((5,), name="left"), "right": keras.Input((3,), name="right")}
    both = layers.Concatenate()([inputs["left"], inputs["right"]])
    hidden = layers.Dense(4)(both)
    return keras.Model(inputs, {"sum": layers.Dense(1)(hidden), "all": [hidden, both]})


def _lists() -> keras.Model:
    a, b = keras.Input((5,)), keras.Input((3,))
    return keras.Model([a, [b]], [[layers.Dense(2)(a)], layers.Dense(3)(b)])


def _operators() -> keras.Model:
    x = keras.Input((4, 5))
    y = ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1))) / 2.0, axis=-1)
    return keras.Model(x, ops.concatenate([y @ x, x[:, ::-1] ** 2 - 1], axis=-1))


def _passed_on() -> keras.Model:
    x = keras.Input((5,))
    return keras.Model(x, [x, layers.Dense(2)(x)])


class Block(layers.Layer):
    """A custom layer with layers and a weight of its own, and an argument besides its input."""

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(2 * units, activation="gelu")
        self.out = layers.Dense(units)
        self.norm = layers.LayerNormalization()

    def build(self, shape: Any) -> None:
        self.hidden.build(shape)
        self.out.build((*shape[:-1], self.hidden.units))
        self.norm.build((*shape[:-1], self.out.units))
        self.scale = self.add_weight(shape=(self.out.units,), name="scale")
        super().build(shape)

    def call(self, x: Any, shift: Any = None, training: bool = False) -> Any:
        y = self.norm(self.out(self.hidden(x))) * self.scale
        if shift is not None:
            y = y + ops.expand_dims(shift, 1)
        return ops.where(ops.greater(y, 0), y, ops.log1p(ops.exp(y))) if not training else y


class Net(keras.Model):
    """A subclassed model with a loop and a condition in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = [layers.Dense(5, "relu") for _ in range(3)]
        self.head = layers.Dense(2)

    def call(self, x: Any, training: bool = False) -> Any:
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Pair(keras.Model):
    """A subclassed model of a dict, which answers a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, inputs: Any) -> Any:
        y = self.dense(inputs["a"])
        return {"y": y, "z": ops.sum(inputs["b"], axis=-1)}


def _built(model: keras.Model, *shapes: Any) -> keras.Model:
    model(keras.ops.zeros(shapes[0]))
    return model


def _built_pair() -> keras.Model:
    model = Pair()
    model({"a": ops.zeros((1, 5)), "b": ops.zeros((1, 3))})
    return model


def _block() -> keras.Model:
    x, shift = keras.Input((4, 5)), keras.Input((3,))
    return keras.Model([x, shift], Block(3)(x, shift=shift))


def _model(
    name: str, inputs: tuple[In, ...], make: Any, layer: str = "Dense", **options: Any
) -> Case:
    return Case(layer, f"model {name}", inputs, model=make, **options)


CASES = [
    _model("sequential", X, _sequential),
    _model("sequential built later", X, _deferred, "Dropout"),
    _model("nested", X, _nested, "Add"),
    _model("shared", (*X, *X), _shared, "Subtract"),
    _model("branches", (In((6, 6, 3)),), _branches, "Conv2D"),
    _model("dicts", TWO, _dicts, "Concatenate"),
    _model("lists", TWO, _lists),
    _model("operators", (In((4, 5)),), _operators, "Identity"),
    _model("input passed on", X, _passed_on, "Identity"),
    _model("subclassed", X, lambda: _built(Net(), (1, 5))),
    _model("custom layer", (In((4, 5)), In((3,))), _block, "LayerNormalization"),
]

test_layer = layer_test(CASES)


def test_subclassed_model_tells_its_input(jvm: Any, tmp_path: Any) -> None:
    import kbridge

    model = _built(Net(), (1, 5))
    kbridge.export(model, tmp_path / "net.h5")
    x = X[0].array(2, "net")
    with kbridge.load(tmp_path / "net.h5") as loaded:
        compare(loaded.predict_on_batch(x), model(x))


def test_subclassed_model_of_dicts(jvm: Any, tmp_path: Any) -> None:
    import kbridge

    model = _built_pair()
    a, b = In((5,)), In((3,))
    sample = {"a": a.array(0, "a"), "b": b.array(0, "b")}
    kbridge.export(model, tmp_path / "pair.h5", sample=sample)
    with kbridge.load(tmp_path / "pair.h5") as loaded:
        for variant in (1, 2):
            x = {"a": a.array(variant, "a"), "b": b.array(variant, "b")}
            compare(loaded.predict_on_batch(x), model(x))
