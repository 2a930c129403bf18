"""The Keras 2 view of a model is what Keras 2 reads: tf_keras loads it and predicts the same."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from kbridge.export import keras2, keras2_layers
from tests.export.keras2_files import (
    FLAT,
    IMAGE,
    SERIES,
    VOLUME,
    assert_same_in_keras_2,
    nested_models,
    tf_keras,
    weighted,
    write,
)

L = layers

SINGLE = {
    "Dense": (FLAT, lambda: L.Dense(3, activation="gelu")),
    "Dense_3d": (SERIES, lambda: L.Dense(3, use_bias=False)),
    "EinsumDense": (SERIES, lambda: L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")),
    "Conv1D": (SERIES, lambda: L.Conv1D(3, 3, padding="causal", dilation_rate=2)),
    "Conv2D": (IMAGE, lambda: L.Conv2D(6, (3, 2), strides=2, padding="same", groups=2)),
    "Conv3D": (VOLUME, lambda: L.Conv3D(3, 2)),
    "Conv1DTranspose": (SERIES, lambda: L.Conv1DTranspose(3, 3, strides=2, padding="same")),
    "Conv2DTranspose": (IMAGE, lambda: L.Conv2DTranspose(3, 3, strides=2)),
    "Conv3DTranspose": (VOLUME, lambda: L.Conv3DTranspose(3, 2, strides=2)),
    "DepthwiseConv1D": (SERIES, lambda: L.DepthwiseConv1D(3, depth_multiplier=2)),
    "DepthwiseConv2D": (IMAGE, lambda: L.DepthwiseConv2D(3, padding="same")),
    "SeparableConv1D": (SERIES, lambda: L.SeparableConv1D(3, 3)),
    "SeparableConv2D": (IMAGE, lambda: L.SeparableConv2D(3, 3, depth_multiplier=2)),
    "BatchNormalization": (IMAGE, lambda: L.BatchNormalization(axis=-1, epsilon=1e-2)),
    "BatchNormalization_noscale": (FLAT, lambda: L.BatchNormalization(scale=False)),
    "BatchNormalization_frozen": (FLAT, lambda: L.BatchNormalization(trainable=False)),
    "LayerNormalization": (SERIES, lambda: L.LayerNormalization(axis=[1, 2])),
    "GroupNormalization": (IMAGE, lambda: L.GroupNormalization(2)),
    "UnitNormalization": (FLAT, lambda: L.UnitNormalization()),
    "Normalization": (FLAT, lambda: L.Normalization()),
    "Normalization_given": (FLAT, lambda: L.Normalization(mean=[0.5] * 7, variance=[2.0] * 7)),
    "Rescaling": (IMAGE, lambda: L.Rescaling([0.5, 1.0, 2.0, 3.0], offset=-1.0)),
    "Resizing": (IMAGE, lambda: L.Resizing(5, 13)),
    "Resizing_nearest": (IMAGE, lambda: L.Resizing(5, 13, interpolation="nearest")),
    "CenterCrop": (IMAGE, lambda: L.CenterCrop(5, 4)),
    "PReLU": (IMAGE, lambda: L.PReLU(shared_axes=[1, 2])),
    "LeakyReLU": (FLAT, lambda: L.LeakyReLU(0.17)),
    "ReLU": (FLAT, lambda: L.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2)),
    "ELU": (FLAT, lambda: L.ELU(0.7)),
    "Softmax": (SERIES, lambda: L.Softmax(axis=1)),
    "LSTM": (SERIES, lambda: L.LSTM(3, dropout=0.1, recurrent_dropout=0.2)),
    "LSTM_options": (SERIES, lambda: L.LSTM(3, return_sequences=True, go_backwards=True)),
    "LSTM_bias": (SERIES, lambda: L.LSTM(3, unit_forget_bias=False)),
    "GRU": (SERIES, lambda: L.GRU(3)),
    "GRU_before": (SERIES, lambda: L.GRU(3, reset_after=False, recurrent_activation="tanh")),
    "SimpleRNN": (SERIES, lambda: L.SimpleRNN(3, activation="relu")),
    "RNN": (SERIES, lambda: L.RNN(L.GRUCell(3), return_sequences=True)),
    "RNN_simple": (SERIES, lambda: L.RNN(L.SimpleRNNCell(3))),
    "StackedRNNCells": (SERIES, lambda: L.RNN([L.LSTMCell(3), L.LSTMCell(2), L.GRUCell(4)])),
    "Bidirectional": (SERIES, lambda: L.Bidirectional(L.LSTM(3, return_sequences=True))),
    "Bidirectional_two": (
        SERIES,
        lambda: L.Bidirectional(
            L.GRU(3), merge_mode="sum", backward_layer=L.GRU(3, go_backwards=True, name="back")
        ),
    ),
    "TimeDistributed": ((5, *IMAGE), lambda: L.TimeDistributed(L.Conv2D(2, 3))),
    "ConvLSTM1D": ((4, *SERIES), lambda: L.ConvLSTM1D(2, 3)),
    "ConvLSTM2D": ((4, *IMAGE), lambda: L.ConvLSTM2D(2, 3, padding="same")),
    "ConvLSTM3D": ((3, *VOLUME), lambda: L.ConvLSTM3D(2, 2)),
    "AveragePooling1D": (SERIES, lambda: L.AveragePooling1D(3, padding="same")),
    "AveragePooling2D": (IMAGE, lambda: L.AveragePooling2D((2, 3), strides=1, padding="same")),
    "AveragePooling3D": (VOLUME, lambda: L.AveragePooling3D(2)),
    "MaxPooling1D": (SERIES, lambda: L.MaxPooling1D(3)),
    "MaxPooling2D": (IMAGE, lambda: L.MaxPooling2D(3, strides=2, padding="same")),
    "MaxPooling3D": (VOLUME, lambda: L.MaxPooling3D(2)),
    "GlobalAveragePooling1D": (SERIES, lambda: L.GlobalAveragePooling1D()),
    "GlobalAveragePooling2D": (IMAGE, lambda: L.GlobalAveragePooling2D(keepdims=True)),
    "GlobalAveragePooling3D": (VOLUME, lambda: L.GlobalAveragePooling3D()),
    "GlobalMaxPooling1D": (SERIES, lambda: L.GlobalMaxPooling1D()),
    "GlobalMaxPooling2D": (IMAGE, lambda: L.GlobalMaxPooling2D()),
    "GlobalMaxPooling3D": (VOLUME, lambda: L.GlobalMaxPooling3D()),
    "UpSampling1D": (SERIES, lambda: L.UpSampling1D(2)),
    "UpSampling2D": (IMAGE, lambda: L.UpSampling2D((2, 3), interpolation="bilinear")),
    "UpSampling3D": (VOLUME, lambda: L.UpSampling3D(2)),
    "ZeroPadding1D": (SERIES, lambda: L.ZeroPadding1D((1, 2))),
    "ZeroPadding2D": (IMAGE, lambda: L.ZeroPadding2D(((1, 2), (0, 3)))),
    "ZeroPadding3D": (VOLUME, lambda: L.ZeroPadding3D(1)),
    "Cropping1D": (SERIES, lambda: L.Cropping1D((1, 2))),
    "Cropping2D": (IMAGE, lambda: L.Cropping2D(((1, 2), (0, 3)))),
    "Cropping3D": (VOLUME, lambda: L.Cropping3D(1)),
    "Flatten": (IMAGE, lambda: L.Flatten()),
    "Reshape": (IMAGE, lambda: L.Reshape((-1, 6))),
    "Permute": (IMAGE, lambda: L.Permute((3, 1, 2))),
    "RepeatVector": (FLAT, lambda: L.RepeatVector(3)),
    "Masking": (SERIES, lambda: L.Masking(0.5)),
    "Identity": (FLAT, lambda: L.Identity()),
    "Activation": (FLAT, lambda: L.Activation("mish")),
    "ActivityRegularization": (FLAT, lambda: L.ActivityRegularization(l1=0.1)),
    "AlphaDropout": (FLAT, lambda: L.AlphaDropout(0.3)),
    "Dropout": (SERIES, lambda: L.Dropout(0.3, noise_shape=(None, 1, 4), seed=3)),
    "GaussianDropout": (FLAT, lambda: L.GaussianDropout(0.3)),
    "GaussianNoise": (FLAT, lambda: L.GaussianNoise(0.3)),
    "SpatialDropout1D": (SERIES, lambda: L.SpatialDropout1D(0.3)),
    "SpatialDropout2D": (IMAGE, lambda: L.SpatialDropout2D(0.3)),
    "SpatialDropout3D": (VOLUME, lambda: L.SpatialDropout3D(0.3)),
}


@pytest.mark.parametrize("name", SINGLE)
def test_one_layer(name, tmp_path):
    shape, make = SINGLE[name]
    assert_same_in_keras_2(keras.Sequential([keras.Input(shape), make()], name="m"), tmp_path)


@pytest.mark.parametrize("output_mode", ["one_hot", "multi_hot", "count"])
def test_category_encoding(output_mode, tmp_path):
    shape = (1,) if output_mode == "one_hot" else (4,)
    inputs = keras.Input(shape, dtype="int32")
    outputs = L.CategoryEncoding(5, output_mode=output_mode)(inputs)
    assert_same_in_keras_2(keras.Model(inputs, outputs), tmp_path)


def test_masked_recurrent_model(tmp_path):
    inputs = keras.Input((None,), dtype="int32", name="tokens")
    x = L.Embedding(5, 4, mask_zero=True)(inputs)
    x = L.Bidirectional(L.LSTM(3, return_sequences=True))(x)
    x = L.TimeDistributed(L.Dense(4))(x)
    x = L.GlobalAveragePooling1D()(x)
    assert_same_in_keras_2(keras.Model(inputs, L.Dense(2)(x)), tmp_path)


def masked():
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    values = keras.Input((6, 4), name="values")
    embedded = L.Embedding(5, 4, mask_zero=True)(tokens)
    masked = L.Masking(0.25)(values)
    x = L.LayerNormalization()(L.Dropout(0.2)(masked))
    x = L.LSTM(3, return_sequences=True, zero_output_for_mask=True)(x)
    x = L.Attention()([x, L.Dense(3)(embedded)])
    y = L.MultiHeadAttention(2, 3)(embedded, masked)
    return keras.Model(
        [tokens, values], [L.GRU(3)(x), x, L.SimpleRNN(2)(y), L.Dot(2)([embedded, masked])]
    )


def test_masks_that_travel_by_themselves(tmp_path):
    assert_same_in_keras_2(masked(), tmp_path)


def test_masks_of_a_model_that_was_loaded(tmp_path):
    """A loaded model names as arguments the masks that would have travelled by themselves."""
    masked().save(tmp_path / "m.keras")
    assert_same_in_keras_2(keras.models.load_model(tmp_path / "m.keras"), tmp_path)


MERGES = ["Add", "Average", "Maximum", "Minimum", "Multiply", "Concatenate"]


@pytest.mark.parametrize("merge", [*MERGES, "Subtract", "Dot", "Attention", "AdditiveAttention"])
def test_layers_of_two_inputs(merge, tmp_path):
    a, b = keras.Input((5, 4), name="a"), keras.Input((5, 4), name="b")
    options = {"Dot": {"axes": (2, 1)}, "Attention": {"use_scale": True, "score_mode": "concat"}}
    b2 = L.Permute((2, 1))(b) if merge == "Dot" else L.Dense(4)(b)
    merged = getattr(layers, merge)(**options.get(merge, {}))([L.Dense(4)(a), b2])
    assert_same_in_keras_2(keras.Model([a, b], merged), tmp_path)


def test_attention_with_arguments(tmp_path):
    q, v = keras.Input((5, 4), name="q"), keras.Input((6, 4), name="v")
    out, scores = L.MultiHeadAttention(2, 3, value_dim=5)(
        L.Dense(4)(q), L.Dense(4)(v), L.Dense(4)(v), return_attention_scores=True
    )
    x = L.MultiHeadAttention(2, 3)(out, out, use_causal_mask=True)
    assert_same_in_keras_2(keras.Model([q, v], [x, scores]), tmp_path)


def test_initial_states(tmp_path):
    x, s = keras.Input((5, 4), name="x"), keras.Input((5, 4), name="s")
    _, h, c = L.LSTM(3, return_state=True)(s)
    y = L.LSTM(3, return_sequences=True)(x, initial_state=[h, c])
    y = L.GRU(3)(y, initial_state=h)
    assert_same_in_keras_2(keras.Model([x, s], y), tmp_path)


def test_inputs_and_outputs_as_dicts(tmp_path):
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    x = L.Concatenate()([L.Dense(4, name="z")(b), L.Dense(4, name="y")(a)])
    outputs = {"two": L.Dense(2)(x), "one": L.Dense(1)(x)}
    assert_same_in_keras_2(keras.Model({"b": b, "a": a}, outputs), tmp_path)


def test_layers_are_told_apart_by_order(tmp_path):
    """Equal shapes everywhere, branches of unequal depth: only the right order predicts right."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = L.Dense(4, activation="tanh", name="shared")
    x = shared(L.Dense(4, name="d1")(a))
    y = shared(L.Dense(4, name="d2")(L.Dense(4, name="d3")(b)))
    z = L.Add()([L.Dense(4, name="d0")(y), x, L.Dense(4, name="d9")(a)])
    w = L.Multiply()([L.Dense(4, name="d5")(z), L.Dense(4, name="d4")(z), b])
    model = keras.Model([b, a], [w, L.Dense(4, name="d6")(x), z])
    assert_same_in_keras_2(model, tmp_path)


def test_order_with_tensors_in_keyword_arguments(tmp_path):
    """Keras 2 walks keyword arguments by name: key before value, whatever the call's order."""
    q = keras.Input((5, 4), name="q")
    value, key = L.Dense(4, name="a_value")(q), L.Dense(4, name="a_key")(q)
    x = L.MultiHeadAttention(2, 3)(L.Dense(4, name="z_query")(q), value, key)
    assert_same_in_keras_2(keras.Model(q, x), tmp_path)


def test_nested_and_repeated_models(tmp_path):
    assert_same_in_keras_2(nested_models()[2], tmp_path)


def test_nested_frozen_model(tmp_path):
    inner, _, model = nested_models()
    inner.trainable = False
    assert_same_in_keras_2(model, tmp_path)


def test_partly_frozen_layers(tmp_path):
    inner, sequence, model = nested_models()
    inner.layers[1].trainable = False
    sequence.layers[1].trainable = False
    assert_same_in_keras_2(model, tmp_path)


def test_output_of_a_nested_model_is_the_model_s_output(tmp_path):
    inputs = keras.Input((4,))
    functional = keras.Model(inputs, L.Dense(3)(inputs), name="f")
    sequential = keras.Sequential([keras.Input((4,)), L.Dense(3)], name="s")
    outer = keras.Input((4,))
    hidden = functional(outer)
    model = keras.Model(outer, [functional(outer), sequential(outer), hidden])
    assert_same_in_keras_2(model, tmp_path)


def test_sequential_of_models_and_wrapped_models(tmp_path):
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4), L.BatchNormalization()], name="i")
    model = keras.Sequential([keras.Input((5, 4)), L.TimeDistributed(inner), L.GRU(3), L.Dense(2)])
    assert_same_in_keras_2(model, tmp_path)


def test_mixed_precision(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            L.Dense(8, dtype="mixed_float16"),
            L.Dense(3, dtype="float32", kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2)),
        ]
    )
    assert_same_in_keras_2(model, tmp_path, rtol=2e-3, atol=2e-3)
    assert keras2.keras2_model_config(model)["config"]["layers"][1]["config"]["dtype"] == {
        "class_name": "Policy",
        "config": {"name": "mixed_float16"},
    }


ACTIVATIONS = (
    "elu exponential gelu leaky_relu linear log_softmax mish relu relu6 selu sigmoid silu softmax "
    "softplus softsign tanh"
).split()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, tmp_path):
    model = keras.Sequential([keras.Input((5,)), L.Dense(6, activation=activation)])
    assert_same_in_keras_2(model, tmp_path)


OBJECTS = {
    **{f"init_{i.__class__.__name__}": ("kernel_initializer", i) for i in (
        keras.initializers.Constant(0.3), keras.initializers.GlorotNormal(1),
        keras.initializers.GlorotUniform(2), keras.initializers.HeNormal(3),
        keras.initializers.HeUniform(4),
        keras.initializers.LecunNormal(5), keras.initializers.LecunUniform(6),
        keras.initializers.Ones(), keras.initializers.Orthogonal(1.5, 7),
        keras.initializers.RandomNormal(0.1, 0.2, 8), keras.initializers.RandomUniform(0.1, 0.2, 9),
        keras.initializers.TruncatedNormal(0.1, 0.2, 10),
        keras.initializers.VarianceScaling(2.0, "fan_out", "uniform", 11),
        keras.initializers.Zeros(),
    )},
    **{f"reg_{r.__class__.__name__}": ("kernel_regularizer", r) for r in (
        keras.regularizers.L1(0.1), keras.regularizers.L2(0.2), keras.regularizers.L1L2(0.1, 0.2),
        keras.regularizers.OrthogonalRegularizer(0.3, "columns"),
    )},
    **{f"con_{c.__class__.__name__}": ("kernel_constraint", c) for c in (
        keras.constraints.MaxNorm(3, 1), keras.constraints.MinMaxNorm(0.1, 2.0, 0.5, 1),
        keras.constraints.NonNeg(), keras.constraints.UnitNorm(1),
    )},
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_keep_their_parameters(name, tmp_path):
    key, given = OBJECTS[name]
    model = weighted(**{key: given})
    loaded = tf_keras.models.load_model(write(model, tmp_path / "m.h5"), compile=False)
    found = getattr(loaded.layers[0], key)
    config = {k: v for k, v in given.get_config().items() if k not in ("input_axes", "output_axes")}
    assert type(found).__name__.removesuffix("V2") == type(given).__name__.removesuffix(
        "Initializer"
    )
    for parameter, value in config.items():
        # NB: Keras 2 keeps the factors of regularizers as float32.
        expected = float(np.float32(value)) if isinstance(value, float) else value
        assert found.get_config()[parameter] in (value, expected)


def test_every_rule_has_a_case():
    tested = {name.split("_")[0] for name in SINGLE} | set(MERGES)
    tested |= {"Subtract", "Dot", "Attention", "AdditiveAttention", "CategoryEncoding", "Embedding"}
    tested |= {"MultiHeadAttention", "GRUCell", "LSTMCell", "SimpleRNNCell"}
    assert set(keras2_layers.layer_rules()) <= tested
