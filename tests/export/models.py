"""Small models, and what is written of them."""

from __future__ import annotations

import json

import keras
import numpy as np
from keras import layers as L

from kbridge.export import metadata, training

FLAT, SERIES, IMAGE, VOLUME = (5,), (6, 4), (8, 9, 4), (6, 6, 6, 4)


def built(shape, layer):
    dtype, shape = ("float32", shape) if shape[0] != "int32" else ("int32", shape[1:])
    inputs = keras.Input(shape, dtype=dtype)
    return keras.Model(inputs, layer(inputs), name="m")


def nested():
    inner_in = keras.Input((4,))
    first = keras.Model(inner_in, L.Dense(4, name="dense")(inner_in), name="first")
    second = keras.Model(inner_in, L.Dense(4, name="dense")(inner_in), name="second")
    shared = L.Dense(4, name="shared")
    inputs = keras.Input((3, 4), name="x")
    x = L.TimeDistributed(first, name="td")(inputs)
    x = L.Bidirectional(L.LSTM(2, name="lstm"), name="both")(x)
    x = second(shared(shared(x)))
    x = L.RNN([L.GRUCell(2, name="a"), L.LSTMCell(3, name="b")], name="rnn")(L.RepeatVector(2)(x))
    return keras.Model(inputs, L.Dropout(0.5, name="drop")(x), name="root")


def small(**kwargs):
    return keras.Sequential(
        [keras.Input((4,)), L.Dense(3, name="a"), L.Dense(3, name="b")], **kwargs
    )


def described(model):
    document, variables = training.training_metadata(model, metadata.weight_names(model))
    return json.loads(json.dumps(document, allow_nan=False)), variables


def compiled(**arguments):
    model = small(name="root")
    model.compile(**({"optimizer": "sgd", "loss": "mse"} | arguments))
    return described(model)[0]


def stepped(optimizer, model=None):
    model = model or small(name="root")
    model.compile(optimizer, "mse")
    model.fit(np.ones((4, 4), "float32"), np.ones((4, 3), "float32"), batch_size=2, verbose=0)
    return model
