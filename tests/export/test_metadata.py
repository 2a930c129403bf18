"""Weights are described completely: what was given to Keras is what is found."""

from __future__ import annotations

import inspect
import json

import keras
import numpy as np
import pytest
from keras import layers as L

from kbridge.export import metadata
from tests.export.models import FLAT, IMAGE, SERIES, VOLUME, built

# Every Keras layer that has weights, made with the arguments it must have and all its options that
# add weights; `given()` adds an initializer, regularizer and constraint for each role it takes.
LAYERS = {
    "Dense": (FLAT, lambda **k: L.Dense(3, **k)),
    "EinsumDense": (
        SERIES,
        lambda **k: L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", **k),
    ),
    "Embedding": (("int32", 4), lambda **k: L.Embedding(5, 3, **k)),
    "ReversibleEmbedding": (
        ("int32", 4),
        lambda **k: L.ReversibleEmbedding(5, 3, tie_weights=False, **k),
    ),
    "Conv1D": (SERIES, lambda **k: L.Conv1D(3, 2, **k)),
    "Conv2D": (IMAGE, lambda **k: L.Conv2D(3, 2, **k)),
    "Conv3D": (VOLUME, lambda **k: L.Conv3D(3, 2, **k)),
    "Conv1DTranspose": (SERIES, lambda **k: L.Conv1DTranspose(3, 2, **k)),
    "Conv2DTranspose": (IMAGE, lambda **k: L.Conv2DTranspose(3, 2, **k)),
    "Conv3DTranspose": (VOLUME, lambda **k: L.Conv3DTranspose(3, 2, **k)),
    "DepthwiseConv1D": (SERIES, lambda **k: L.DepthwiseConv1D(2, **k)),
    "DepthwiseConv2D": (IMAGE, lambda **k: L.DepthwiseConv2D(2, **k)),
    "SeparableConv1D": (SERIES, lambda **k: L.SeparableConv1D(3, 2, **k)),
    "SeparableConv2D": (IMAGE, lambda **k: L.SeparableConv2D(3, 2, **k)),
    "BatchNormalization": (IMAGE, lambda **k: L.BatchNormalization(**k)),
    "LayerNormalization": (SERIES, lambda **k: L.LayerNormalization(**k)),
    "GroupNormalization": (IMAGE, lambda **k: L.GroupNormalization(2, **k)),
    "RMSNormalization": (FLAT, lambda **k: L.RMSNormalization(**k)),
    "PReLU": (FLAT, lambda **k: L.PReLU(**k)),
    "LSTM": (SERIES, lambda **k: L.LSTM(3, unit_forget_bias=False, **k)),
    "GRU": (SERIES, lambda **k: L.GRU(3, **k)),
    "SimpleRNN": (SERIES, lambda **k: L.SimpleRNN(3, **k)),
    "LSTMCell": (SERIES, lambda **k: L.RNN(L.LSTMCell(3, unit_forget_bias=False, **k))),
    "GRUCell": (SERIES, lambda **k: L.RNN(L.GRUCell(3, **k))),
    "SimpleRNNCell": (SERIES, lambda **k: L.RNN(L.SimpleRNNCell(3, **k))),
    "ConvLSTM1D": ((3, *SERIES), lambda **k: L.ConvLSTM1D(2, 2, unit_forget_bias=False, **k)),
    "ConvLSTM2D": ((3, *IMAGE), lambda **k: L.ConvLSTM2D(2, 2, unit_forget_bias=False, **k)),
    "ConvLSTM3D": ((3, *VOLUME), lambda **k: L.ConvLSTM3D(2, 2, unit_forget_bias=False, **k)),
    "MultiHeadAttention": (SERIES, lambda **k: Twice(L.MultiHeadAttention(2, 3, **k))),
    "GroupedQueryAttention": (SERIES, lambda **k: Twice(L.GroupQueryAttention(3, 4, 2, **k))),
}

# Roles whose name is not the variable's.
ROLES = {
    "DepthwiseConv1D": {"kernel": "depthwise"},
    "DepthwiseConv2D": {"kernel": "depthwise"},
    "*": {
        "depthwise_kernel": "depthwise",
        "pointwise_kernel": "pointwise",
        "recurrent_kernel": "recurrent",
        "reverse_embeddings": "embeddings",
    },
}

# Layers whose weights' initializers Keras fixes itself.
FIXED = {
    "RMSNormalization": (FLAT, lambda: L.RMSNormalization(), {"scale": "Ones"}),
    "Attention": (
        SERIES,
        lambda: Pair(L.Attention(use_scale=True, score_mode="concat")),
        {"scale": "Ones", "concat_score_weight": "Ones"},
    ),
    "AdditiveAttention": (SERIES, lambda: Pair(L.AdditiveAttention()), {"scale": "GlorotUniform"}),
    "SpectralNormalization": (
        FLAT,
        lambda: L.SpectralNormalization(L.Dense(3)),
        {"vector_u": "TruncatedNormal", "kernel": "GlorotUniform", "bias": "Zeros"},
    ),
    "Normalization": (
        FLAT,
        lambda: L.Normalization(),
        {"mean": "Zeros", "variance": "Ones", "count": "Zeros"},
    ),
    "STFTSpectrogram": (
        (4000, 1),
        lambda: L.STFTSpectrogram(mode="stft"),
        {"real_kernel": "STFT", "imag_kernel": "STFT"},
    ),
    "LSTM": (
        SERIES,
        lambda: L.LSTM(3),
        {
            "kernel": "GlorotUniform",
            "recurrent_kernel": "Orthogonal",
            "bias": "kbridge>Concatenated",
            "seed_generator_state": "SeedGenerator",
        },
    ),
    "ConvLSTM2D": (
        (3, *IMAGE),
        lambda: L.ConvLSTM2D(2, 2),
        {
            "kernel": "GlorotUniform",
            "recurrent_kernel": "Orthogonal",
            "bias": "kbridge>Concatenated",
            "seed_generator_state": "SeedGenerator",
        },
    ),
    "BatchNormalization": (
        FLAT,
        lambda: L.BatchNormalization(renorm=True),
        {
            "gamma": "Ones",
            "beta": "Zeros",
            "moving_mean": "Zeros",
            "moving_variance": "Ones",
            "moving_stddev": "kbridge>SquareRoot",
            "renorm_mean": "Zeros",
            "renorm_stddev": "kbridge>SquareRoot",
        },
    ),
    "Dropout": (FLAT, lambda: L.Dropout(0.2, seed=9), {"seed_generator_state": "SeedGenerator"}),
}


class Twice(L.Layer):
    """Calls an attention layer with one tensor for every argument."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x):
        return self.layer(x, x)


class Pair(Twice):
    """Calls an attention layer with the list it takes."""

    def call(self, x):
        return self.layer([x, x])


def given(make):
    """Returns different objects for each of the roles that the layer's constructor takes."""
    cls = type(unwrapped(make()))
    roles = [
        name.removesuffix("_initializer")
        for name in inspect.signature(cls.__init__).parameters
        if name.endswith("_initializer")
    ]
    arguments = {}
    for i, role in enumerate(roles, 1):
        arguments[f"{role}_initializer"] = keras.initializers.RandomUniform(0.1, 0.1 + i, seed=i)
        arguments[f"{role}_regularizer"] = keras.regularizers.L1L2(0.25 * i, 0.5 * i)
        arguments[f"{role}_constraint"] = keras.constraints.MaxNorm(i, axis=0)
    known = inspect.signature(cls.__init__).parameters
    return {name: value for name, value in arguments.items() if name in known}


def unwrapped(layer):
    if isinstance(layer, (Twice, Pair)):
        return layer.layer
    return layer.cell if type(layer) is L.RNN else layer


def config_of(obj):
    """What `obj` is, by class and arguments; None stays None."""
    return obj if obj is None else keras.saving.serialize_keras_object(obj)["config"]


def without_axes(config):
    return {k: v for k, v in config.items() if k not in ("input_axes", "output_axes")}


@pytest.mark.parametrize("name", LAYERS)
def test_each_weight_has_what_was_given(name):
    shape, make = LAYERS[name]
    arguments = given(make)
    model = built(shape, make(**arguments))
    found = metadata.weights_metadata(model)
    names = metadata.weight_names(model)
    assert sorted(found) == sorted(names[id(v)] for v in model.variables)
    checked = set()
    for weight in found.values():
        role = weight["variable"]
        role = ROLES.get(name, {}).get(role, ROLES["*"].get(role, role))
        if role == "seed_generator_state" or name == "RMSNormalization":
            continue
        initializer = arguments[f"{role}_initializer"]
        assert weight["initializer"]["class_name"] == "RandomUniform"
        assert without_axes(weight["initializer"]["config"]) == config_of(initializer)
        if weight["variable"] == "reverse_embeddings":
            continue  # Keras does not regularise or constrain it.
        for part in ("regularizer", "constraint"):
            expected = config_of(arguments.get(f"{role}_{part}"))
            actual = weight[part] if weight[part] is None else weight[part]["config"]
            assert actual == expected, (role, part)
        checked.add(role)
    roles = {key.rsplit("_", 1)[0] for key in arguments}
    assert checked == roles, "a role was given and no weight has it"


@pytest.mark.parametrize("name", FIXED)
def test_initializers_that_keras_fixes(name):
    shape, make, expected = FIXED[name]
    found = metadata.weights_metadata(built(shape, make())).values()
    assert {w["variable"]: w["initializer"]["class_name"] for w in found} == expected


def test_the_forget_gate_s_bias_is_told_apart():
    layer = L.LSTM(3, bias_initializer=keras.initializers.Constant(0.5))
    weights = metadata.weights_metadata(built(SERIES, layer))
    initializer = next(w for w in weights.values() if w["variable"] == "bias")["initializer"]
    parts = initializer["config"]["parts"]
    assert [(p["gates"], p["size"], p["initializer"]["class_name"]) for p in parts] == [
        (["input"], 3, "Constant"),
        (["forget"], 3, "Ones"),
        (["candidate", "output"], 6, "Constant"),
    ]
    bias = next(v for v in layer.variables if v.name == "bias")
    expected = np.concatenate([np.full(3, 0.5), np.ones(3), np.full(6, 0.5)])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(bias), expected)


def test_every_layer_with_weights_is_covered():
    """A new Keras layer class that takes initializers has to be added above."""
    taking = {
        cls.__name__
        for cls in vars(L).values()
        if inspect.isclass(cls)
        and issubclass(cls, L.Layer)
        and any(p.endswith("_initializer") for p in inspect.signature(cls.__init__).parameters)
    }
    assert taking <= set(LAYERS)


INITIALIZERS = [
    keras.initializers.Identity(2.5),
    keras.initializers.Constant(0.3),
    keras.initializers.GlorotNormal(seed=4),
    keras.initializers.HeUniform(),
    keras.initializers.Orthogonal(gain=1.5, seed=3),
    keras.initializers.TruncatedNormal(0.1, 0.2, seed=5),
    keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=6),
    keras.initializers.RandomNormal(0.5, 0.25, seed=keras.random.SeedGenerator(8)),
]


@pytest.mark.parametrize("initializer", INITIALIZERS, ids=lambda i: type(i).__name__)
def test_initializers_keep_all_their_parameters(initializer):
    model = built(FLAT, L.Dense(5, kernel_initializer=initializer))
    found = metadata.weights_metadata(model)[kernel_name(model)]
    config = found["initializer"]["config"]
    for name in inspect.signature(type(initializer).__init__).parameters:
        if name != "self":
            assert name in config, name
    rebuilt = keras.initializers.deserialize(json.loads(json.dumps(found["initializer"])))
    assert vars(rebuilt).keys() == vars(initializer).keys()
    for name, value in vars(initializer).items():
        if isinstance(value, (bool, int, float, str)) and name != "seed":
            assert vars(rebuilt)[name] == value
    assert (
        metadata.layers_metadata(model)[1]["config"]["kernel_initializer"] == found["initializer"]
    )


def kernel_name(model):
    return next(name for name in metadata.weights_metadata(model) if name.endswith("kernel"))


class Scaled(L.Layer):
    """A layer of one's own: one weight by Keras's naming, one without any record, one unnamed."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale_initializer = keras.initializers.Constant(0.5)
        self.inner = L.Dense(2, name="inner")

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.shift = self.add_weight(
            shape=(shape[-1],), initializer="zeros", name="shift", regularizer="l2", trainable=False
        )
        self.bare = self.add_weight(shape=())
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x * self.scale + self.shift + self.bare)


def test_layers_of_one_s_own():
    found = metadata.weights_metadata(built(FLAT, Scaled(name="own")))
    by_variable = {(w["layer"], w["variable"]): w for w in found.values()}
    assert set(by_variable) == {
        ("own", "scale"),
        ("own", "shift"),
        ("own", "bare"),
        ("own/inner", "kernel"),
        ("own/inner", "bias"),
    }
    assert by_variable["own", "scale"]["initializer"]["config"] == {"value": 0.5}
    unknown = by_variable["own", "shift"]
    assert unknown["initializer"]["class_name"] is None
    assert "shift_initializer" in unknown["initializer"]["reason"]
    assert unknown["regularizer"]["class_name"] == "L2"
    assert unknown["trainable"] is False
    assert by_variable["own", "bare"]["initializer"]["class_name"] is None


def test_lora_and_quantized_weights_are_not_guessed():
    layer = L.Dense(3)
    model = built(FLAT, layer)
    layer.enable_lora(2)
    by_variable = {w["variable"]: w for w in metadata.weights_metadata(model).values()}
    assert by_variable["lora_kernel_a"]["initializer"]["class_name"] is None
    assert by_variable["kernel"]["initializer"]["class_name"] == "GlorotUniform"
    quantized = built(FLAT, L.Dense(3))
    quantized.quantize("int8")
    kernel = next(w for w in metadata.weights_metadata(quantized).values() if w["dtype"] == "int8")
    assert kernel["initializer"]["class_name"] is None
    assert "int8" in kernel["initializer"]["reason"]
