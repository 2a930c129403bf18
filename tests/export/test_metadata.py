"""Layers and weights are described completely: what was given to Keras is what is found."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers as L

from kbridge.export import jsonable, metadata

FLAT, SERIES, IMAGE, VOLUME = (5,), (6, 4), (8, 9, 4), (6, 6, 6, 4)

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


def built(shape, layer):
    dtype, shape = ("float32", shape) if shape[0] != "int32" else ("int32", shape[1:])
    inputs = keras.Input(shape, dtype=dtype)
    return keras.Model(inputs, layer(inputs), name="m")


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


def test_paths_of_layers():
    paths = [entry["path"] for entry in metadata.layers_metadata(nested())]
    assert len(paths) == len(set(paths))
    assert {
        "x",
        "td",
        "td/first",
        "td/first/dense",
        "both/forward_lstm/lstm_cell",
        "both/backward_lstm/lstm_cell",
        "second/dense",
        "shared",
        "rnn/stacked_rnn_cells/a",
        "rnn/stacked_rnn_cells/b",
        "drop",
    } <= set(map(without_numbers, paths))
    for path in paths:
        parent = path.rpartition("/")[0]
        assert parent == "" or paths.index(parent) < paths.index(path)


def without_numbers(path):
    return "/".join(part.rstrip("0123456789").rstrip("_") for part in path.split("/"))


def test_paths_are_the_scopes_of_calls():
    """The definition of a scope is shared with parity; each called layer has an entry.

    NB: TimeDistributed and StackedRNNCells run what they hold past `__call__`; a scope then lacks
    the name of the layer that was passed over.
    """
    from kbridge.export.scopes import layer_calls

    inner = keras.Sequential([keras.Input((4,)), L.Dense(4), L.Dense(3)], name="inner")
    inputs = keras.Input((3, 4), name="x")
    x = L.Bidirectional(L.LSTM(2, return_sequences=True, name="lstm"), name="both")(inputs)
    x = L.MultiHeadAttention(2, 2, name="attention")(x, x)
    x = L.RNN(L.GRUCell(2, name="a"), name="rnn")(x)
    model = keras.Model(inputs, inner(L.Dense(4)(x)), name="root")
    scopes = []
    with layer_calls(model, on_enter=lambda layer, scope, call: scopes.append(scope)):
        model(np.zeros((1, 3, 4), "float32"))
    assert set(scopes) - {""} <= {entry["path"] for entry in metadata.layers_metadata(model)}
    assert len(scopes) > 8


def test_names_of_weights():
    model = nested()
    names = metadata.weight_names(model)
    assert set(names) == {id(v) for v in model.variables}
    assert len(set(names.values())) == len(names)
    assert {"td/first/dense/kernel", "second/dense/kernel", "shared/bias"} <= set(names.values())
    seeds = [n for n in names.values() if n.endswith("seed_generator_state")]
    assert "drop/seed_generator_state" in seeds
    assert not any("seed_generator_" in n.replace("seed_generator_state", "") for n in seeds)


def test_names_leave_out_the_root_only():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, name="dense")], name="dense")
    assert set(metadata.weight_names(model).values()) == {"dense/kernel", "dense/bias"}
    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(3, name="same")(inputs), name="same")
    assert set(metadata.weight_names(model).values()) == {"same/kernel", "same/bias"}


class Holder(L.Layer):
    def __init__(self, names, **kwargs):
        super().__init__(**kwargs)
        self.held = [self.add_weight(shape=(), name=name) for name in names]

    def call(self, x):
        return x


@pytest.mark.parametrize("names", [["..", "."], ["a", "a"], ["a\x00b", "a\nb"], ["x"] * 4])
def test_names_are_safe_and_unique(names):
    inputs = keras.Input((2,))
    outputs = Holder(names, name="..")(inputs)
    found = list(metadata.weight_names(keras.Model(inputs, outputs)).values())
    assert len(set(found)) == len(names)
    for name in found:
        parts = name.split("/")
        assert all(part not in ("", ".", "..") for part in parts)
        assert name.isprintable()


def test_no_name_is_a_group_of_another():
    """An HDF5 file cannot hold a dataset `a/b` and a dataset `a/b/c`."""
    held = Holder(["b"], name="a")
    held.inner = Holder(["c"], name="b")
    inputs = keras.Input((2,))
    names = set(metadata.weight_names(keras.Model(inputs, held(inputs))).values())
    assert names == {"a/b", "a.b.c_1"}
    for name in names:
        assert not any(other.startswith(f"{name}/") for other in names), names


def test_names_do_not_depend_on_how_the_model_came_to_be(tmp_path):
    """Keras's own paths of variables do."""
    inputs = keras.Input((6, 4))
    x = L.Bidirectional(L.GRU(3, dropout=0.1), name="both")(inputs)
    inner = keras.Sequential([keras.Input((6,)), L.Dense(2, name="d")], name="inner")
    model = keras.Model(inputs, inner(x), name="m")
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert [v.path for v in loaded.variables] != [v.path for v in model.variables]
    names, again = metadata.weight_names(model), metadata.weight_names(loaded)
    assert [again[id(v)] for v in loaded.variables] == [names[id(v)] for v in model.variables]


def test_a_shared_weight_belongs_to_the_layer_that_made_it():
    model = built(FLAT, L.SpectralNormalization(L.Dense(3, name="kept"), name="sn"))
    weights = metadata.weights_metadata(model)
    assert {w["variable"]: w["layer"] for w in weights.values()} == {
        "kernel": "sn/kept",
        "bias": "sn/kept",
        "vector_u": "sn",
    }


def test_each_entry_is_complete():
    model = built(
        SERIES,
        L.LSTM(
            3,
            dtype="mixed_float16",
            activity_regularizer=keras.regularizers.L2(0.25),
            name="lstm",
            trainable=False,
        ),
    )
    entry = next(e for e in metadata.layers_metadata(model) if e["path"] == "lstm")
    assert (entry["class_name"], entry["module"], entry["registered_name"]) == (
        "LSTM",
        "keras.layers",
        None,
    )
    assert entry["trainable"] is False
    assert entry["dtype_policy"]["config"] == {"name": "mixed_float16"}
    assert entry["activity_regularizer"]["config"] == {"l2": 0.25}
    assert len(entry["weights"]) == 4
    rebuilt = L.LSTM.from_config(entry["config"])
    assert rebuilt.get_config() == model.layers[1].get_config()


def own_activation(x):
    return x + 1


def test_functions_are_named_and_never_stored():
    inputs = keras.Input((2,))
    x = L.Dense(2, activation="gelu", name="known")(inputs)
    x = L.Dense(2, activation=own_activation, name="own")(x)
    x = L.Dense(2, activation=lambda y: y * 2, name="nameless")(x)
    x = L.Lambda(lambda y: y, name="code")(x)
    entries = {e["path"]: e for e in metadata.layers_metadata(keras.Model(inputs, x))}
    here = __name__
    assert entries["known"]["config"]["activation"] == "gelu"
    assert entries["own"]["config"]["activation"] == {"custom": f"{here}.own_activation"}
    lambdas = (entries["nameless"]["config"]["activation"], entries["code"]["config"]["function"])
    for mark in lambdas:
        assert set(mark) == {"custom"}
        assert mark["custom"].endswith("<lambda>")


class NoConfig(L.Layer):
    def __init__(self, table):
        super().__init__(name="bare")
        self.table = table

    def call(self, x):
        return x


def test_a_layer_without_config_is_listed_with_the_reason():
    entries = metadata.layers_metadata(built(FLAT, NoConfig(object())))
    assert entries[1]["config"] is None
    assert "get_config" in entries[1]["reason"]


def test_json_is_strict():
    value = {
        "a": np.float32("inf"),
        "b": (np.int64(3), np.array([1.5, np.nan])),
        3: [-np.inf, True, None],
        "c": {"class_name": "function", "module": "builtins", "config": "mine"},
    }
    assert jsonable.jsonable(value) == {
        "a": "inf",
        "b": [3, [1.5, "nan"]],
        "3": ["-inf", True, None],
        "c": {"custom": "mine"},
    }
    stored = json.loads(
        json.dumps(jsonable.exact({"x": [1.0, float("inf"), "inf"]}), allow_nan=False)
    )
    assert jsonable.restored(stored) == {"x": [1.0, float("inf"), "inf"]}


def test_nothing_is_changed():
    model = nested()
    model.compile("adam", "mse")
    before = json.dumps(model.get_config(), default=str), [v.numpy() for v in model.variables]
    metadata.layers_metadata(model)
    metadata.weights_metadata(model)
    metadata.keras_model_config(model)
    assert json.dumps(model.get_config(), default=str) == before[0]
    for variable, value in zip(model.variables, before[1], strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


class Tied(L.Layer):
    """Holds a layer that another one holds too."""

    def __init__(self, held, **kwargs):
        super().__init__(**kwargs)
        self.held = held

    def call(self, x):
        return self.held(x)

    def get_config(self):
        return {**super().get_config(), "held": keras.saving.serialize_keras_object(self.held)}

    @classmethod
    def from_config(cls, config):
        held = keras.saving.deserialize_keras_object(config.pop("held"))
        return cls(held, **config)


def test_the_model_s_document_is_the_same_twice():
    """Ids of shared objects are addresses in Keras; here they are not."""
    dense = L.Dense(4)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Tied(dense, name="b")(Tied(dense, name="a")(inputs)))
    first, reason = metadata.keras_model_config(model)
    assert reason is None
    assert json.dumps(first, allow_nan=False) == json.dumps(metadata.keras_model_config(model)[0])
    assert '"shared_object_id": 1' in json.dumps(first)


def test_a_layer_that_two_models_share_gives_the_reason():
    """Keras loads such a model as one with two layers, or not at all."""
    dense = L.Dense(4, name="tied")
    one = keras.Sequential([keras.Input((4,)), dense], name="one")
    two = keras.Sequential([keras.Input((4,)), dense, L.ReLU()], name="two")
    inputs = keras.Input((4,))
    config, reason = metadata.keras_model_config(keras.Model(inputs, two(one(inputs))))
    assert config is None
    assert "'one' and 'two' share it" in reason


class Unsaid(keras.Model):
    def __init__(self, table):
        super().__init__()
        self.table, self.dense = table, L.Dense(2)

    def call(self, x):
        return self.dense(x)


def test_a_model_without_config_gives_the_reason():
    model = Unsaid(object())
    model(np.zeros((1, 3), "float32"))
    config, reason = metadata.keras_model_config(model)
    assert config is None
    assert "Unsaid" in reason


BACKEND_CHECK = """
import json, keras
from kbridge.export import keras2, metadata, training
inputs = keras.Input((6, 4))
x = keras.layers.Bidirectional(keras.layers.GRU(3, return_sequences=True), name="b")(inputs)
x = keras.layers.BatchNormalization(name="bn")(x)
x = keras.layers.Dropout(0.5, name="drop")(x)
model = keras.Model(inputs, keras.layers.Dense(2, name="d")(x))
model.compile(keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 9)), "mse")
model.optimizer.build(model.trainable_variables)
names = metadata.weight_names(model)
document, variables = training.training_metadata(model, names)
found = [metadata.weights_metadata(model), metadata.layers_metadata(model), document,
         metadata.keras_model_config(model), keras2.keras2_model_config(model)]
assert found[4] is not None
dump = json.dumps(found, allow_nan=False)
slots = [(v["slot"], v["weight"]) for v in document["optimizer"]["variables"]]
print(json.dumps({"names": sorted(names.values()), "slots": slots, "keras2": found[4]}))
"""


def test_backends_agree():
    """What is said of a model does not depend on the backend that runs it."""
    said = {}
    for backend in ("tensorflow", "jax", "torch"):
        done = subprocess.run(
            [sys.executable, "-c", BACKEND_CHECK],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        said[backend] = json.loads(done.stdout.splitlines()[-1])
    assert said["tensorflow"] == said["jax"] == said["torch"]
