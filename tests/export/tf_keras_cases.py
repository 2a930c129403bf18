"""Keras 2 models, written by the real Keras 2 (tf_keras), one per layer or way of wiring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as k2
from tf_keras import layers as L

LAYERS: dict[str, Callable[[], Any]] = {}
GRAPHS: dict[str, Callable[[], Any]] = {}


def add(name: str, shape: tuple, *make: Callable[[], Any]) -> None:
    LAYERS[name] = lambda: k2.Sequential([k2.Input(shape), *[m() for m in make]])


def graph(function: Callable[[], Any]) -> Callable[[], Any]:
    GRAPHS[function.__name__] = function
    return function


_ACTIVATIONS = (
    "relu elu selu softplus softsign tanh sigmoid hard_sigmoid exponential linear softmax swish "
    "gelu mish leaky_relu"
)
for act in _ACTIVATIONS.split():
    add("act_" + act, (5,), lambda act=act: L.Dense(4, activation=act))
add("conv2d", (9, 8, 3), lambda: L.Conv2D(4, 3, strides=2, padding="same", activation="relu"))
add("conv2d_dil", (9, 8, 3), lambda: L.Conv2D(4, 3, dilation_rate=2))
add("conv2d_groups", (9, 8, 4), lambda: L.Conv2D(4, 3, groups=2))
add("conv1d_causal", (9, 3), lambda: L.Conv1D(4, 3, padding="causal"))
add("conv3d", (5, 6, 7, 2), lambda: L.Conv3D(4, 2))
add("c1t", (9, 3), lambda: L.Conv1DTranspose(4, 3, strides=2))
add("c2t", (9, 8, 3), lambda: L.Conv2DTranspose(4, 3, strides=2, padding="same"))
add("c3t", (4, 5, 6, 2), lambda: L.Conv3DTranspose(3, 2, strides=2))
add("dw1", (9, 3), lambda: L.DepthwiseConv1D(3, depth_multiplier=2))
add("dw2", (9, 8, 3), lambda: L.DepthwiseConv2D(3, depth_multiplier=2))
add("sep1", (9, 3), lambda: L.SeparableConv1D(4, 3))
add("sep2", (9, 8, 3), lambda: L.SeparableConv2D(4, 3, depth_multiplier=2))
add("bn", (9, 8, 3), lambda: L.BatchNormalization())
add("bn1", (9, 8, 3), lambda: L.BatchNormalization(axis=1, scale=False))
add("ln", (9, 8, 3), lambda: L.LayerNormalization())
add("gn", (9, 8, 4), lambda: L.GroupNormalization(2))
add("un", (9, 4), lambda: L.UnitNormalization())
for r, s in ((1, (9, 3)), (2, (9, 8, 3)), (3, (6, 7, 8, 2))):
    for k in ("Max", "Average"):
        add(f"{k}Pool{r}", s, lambda k=k, r=r: getattr(L, f"{k}Pooling{r}D")(2, padding="same"))
        add(f"G{k}Pool{r}", s, lambda k=k, r=r: getattr(L, f"Global{k}Pooling{r}D")(keepdims=True))
    add(f"Up{r}", s, lambda r=r: getattr(L, f"UpSampling{r}D")(2))
    add(f"ZP{r}", s, lambda r=r: getattr(L, f"ZeroPadding{r}D")(1))
    add(f"Cr{r}", s, lambda r=r: getattr(L, f"Cropping{r}D")(1))
    add(f"SD{r}", s, lambda r=r: getattr(L, f"SpatialDropout{r}D")(0.3))
add("UpBil", (4, 5, 3), lambda: L.UpSampling2D(2, interpolation="bilinear"))
add("UpBic", (4, 5, 3), lambda: L.UpSampling2D(2, interpolation="bicubic"))
for n, make in {
    "LeakyReLU": lambda: L.LeakyReLU(0.2),
    "ELU": lambda: L.ELU(0.7),
    "PReLU": lambda: L.PReLU(shared_axes=[1]),
    "ReLU": lambda: L.ReLU(max_value=0.5, negative_slope=0.1, threshold=0.05),
    "ThresholdedReLU": lambda: L.ThresholdedReLU(0.3),
    "Softmax": lambda: L.Softmax(axis=1),
    "Dropout": lambda: L.Dropout(0.5),
    "GN": lambda: L.GaussianNoise(0.5),
    "GD": lambda: L.GaussianDropout(0.5),
    "AD": lambda: L.AlphaDropout(0.5),
    "AR": lambda: L.ActivityRegularization(0.1),
    "Flat": lambda: L.Flatten(),
    "Resh": lambda: L.Reshape((-1, 6)),
    "Perm": lambda: L.Permute((2, 1)),
    "Mask": lambda: L.Masking(),
    "Resc": lambda: L.Rescaling(0.5, 1.0),
    "Ident": lambda: L.Identity(),
    "Act": lambda: L.Activation("hard_sigmoid"),
    "Einsum": lambda: L.EinsumDense("abc,cd->abd", output_shape=(None, 7), bias_axes="d"),
}.items():
    add(n, (4, 3), make)
add("RepeatVector", (4,), lambda: L.RepeatVector(3))
add("Resizing", (8, 9, 3), lambda: L.Resizing(4, 5))
add("CenterCrop", (8, 9, 3), lambda: L.CenterCrop(4, 5))
add(
    "RandomFlip",
    (8, 9, 3),
    lambda: L.RandomFlip(),
)
add(
    "RandomRotation",
    (8, 9, 3),
    lambda: L.RandomRotation(0.1),
)
add(
    "RandomZoom",
    (8, 9, 3),
    lambda: L.RandomZoom(0.1),
)
for n in "SimpleRNN LSTM GRU".split():
    add(n, (5, 3), lambda n=n: getattr(L, n)(4))
    add(
        n + "_hs",
        (5, 3),
        lambda n=n: getattr(L, n)(
            4,
            **({} if n == "SimpleRNN" else {"recurrent_activation": "hard_sigmoid"}),
            return_sequences=True,
            go_backwards=True,
        ),
    )
    add(n + "_bi", (5, 3), lambda n=n: L.Bidirectional(getattr(L, n)(4, return_sequences=True)))
    add(n + "_nobias", (5, 3), lambda n=n: getattr(L, n)(4, use_bias=False))
add("GRU_before", (5, 3), lambda: L.GRU(4, reset_after=False))
add(
    "Bi_sum_two",
    (5, 3),
    lambda: L.Bidirectional(
        L.LSTM(4), backward_layer=L.GRU(4, go_backwards=True), merge_mode="sum"
    ),
)
add("ConvLSTM1D", (4, 7, 2), lambda: L.ConvLSTM1D(3, 3))
add("ConvLSTM2D", (4, 7, 6, 2), lambda: L.ConvLSTM2D(3, 3, padding="same", return_sequences=True))
add("ConvLSTM3D", (3, 5, 6, 4, 2), lambda: L.ConvLSTM3D(3, 2))
add("TD", (4, 6, 3), lambda: L.TimeDistributed(L.Dense(5, activation="relu")))
add("TDBN", (4, 6, 3), lambda: L.TimeDistributed(L.BatchNormalization()))
add(
    "TDmodel",
    (4, 6, 3),
    lambda: L.TimeDistributed(
        k2.Sequential(
            [k2.Input((6, 3)), L.Conv1D(4, 3), L.BatchNormalization(), L.Flatten(), L.Dense(3)]
        )
    ),
)
add("RNNcell", (4, 3), lambda: L.RNN([L.LSTMCell(4), L.GRUCell(3), L.SimpleRNNCell(2)]))
add("RNN1", (4, 3), lambda: L.RNN(L.LSTMCell(4), return_sequences=True))
add(
    "masked_lstm",
    (5, 3),
    lambda: L.Masking(),
    lambda: L.LSTM(4, return_sequences=True),
    lambda: L.GRU(3),
)


add("RandomContrast", (8, 9, 3), lambda: L.RandomContrast(0.1))
add("RandomTranslation", (8, 9, 3), lambda: L.RandomTranslation(0.1, 0.1))
add("RandomBrightness", (8, 9, 3), lambda: L.RandomBrightness(0.1))
add("CategoryEncoding", (4,), lambda: L.CategoryEncoding(10, output_mode="multi_hot"))
add("Discretization", (4,), lambda: L.Discretization([-1.0, 0.0, 1.0]))


@graph
def embedding():
    return k2.Sequential([L.Embedding(10, 4, mask_zero=True, input_length=6), L.LSTM(3)])


@graph
def functional():
    a = k2.Input((6,), name="a")
    b = k2.Input((6,), name="b")
    d = L.Dense(5)
    x = d(a)
    y = d(b)
    outs = [
        L.Add()([x, y]),
        L.Subtract()([x, y]),
        L.Multiply()([x, y]),
        L.Average()([x, y]),
        L.Maximum()([x, y]),
        L.Minimum()([x, y]),
        L.Concatenate()([x, y]),
        L.Dot(1, normalize=True)([x, y]),
    ]
    return k2.Model([a, b], [L.Concatenate()(outs), x])


@graph
def nested():
    base = k2.Sequential([k2.Input((6,)), L.Dense(4), L.BatchNormalization()], name="base")
    i = k2.Input((4,))
    base2 = k2.Model(
        i, [L.Dense(3, name="q")(L.BatchNormalization()(i)), L.Dense(2)(i)], name="base2"
    )
    base2.layers[1].trainable = False
    a = k2.Input((6,))
    b = k2.Input((6,))
    o = base2(base(a))
    p = base2(base(b))
    return k2.Model([a, b], [L.Concatenate()(o), p[0]])


@graph
def frozen_nested():
    base = k2.Sequential(
        [k2.Input((6,)), L.Dense(4), L.BatchNormalization(), L.Dense(3)], name="base"
    )
    base.trainable = False
    return k2.Sequential([k2.Input((6,)), base, L.Dense(2)])


@graph
def mha():
    a = k2.Input((5, 6))
    b = k2.Input((4, 6))
    x = L.MultiHeadAttention(2, 3, value_dim=4, output_shape=7)(a, b)
    y = L.Attention(use_scale=True)([a, b])
    z = L.AdditiveAttention()([a, b])
    w = L.MultiHeadAttention(2, 3)(a, a, use_causal_mask=True)
    return k2.Model([a, b], [x, y, z, w])


@graph
def initial_state():
    a = k2.Input((5, 3))
    h = k2.Input((4,))
    c = k2.Input((4,))
    o = L.LSTM(4, return_state=True, return_sequences=True)(a, initial_state=[h, c])
    return k2.Model([a, h, c], o + [L.GRU(4)(a, initial_state=o[1])])


@graph
def tfops():
    a = k2.Input((5, 6))
    b = k2.Input((5, 6))
    x = (a + b) * 2.0 - 1.0 / (tf.exp(a) + 1.0)
    y = tf.nn.relu(x)[:, 1:, ::2]
    z = tf.concat([y, y], axis=-1)
    w = tf.reshape(z, (-1, 24))
    v = tf.reduce_mean(a, axis=[1], keepdims=True)
    u = tf.transpose(b, [0, 2, 1])
    t = tf.matmul(a, u)
    s = tf.clip_by_value(tf.math.sqrt(tf.abs(a)), 0.1, 0.5)
    r = 1.0 - a
    q = tf.stack([a, b], axis=1)
    p = tf.squeeze(tf.expand_dims(a, 1), 1)
    o = tf.nn.softmax(a)
    n = tf.math.l2_normalize(a, axis=-1)
    m = tf.split(a, 3, axis=-1)
    k = tf.split(a, [1, 5], axis=-1)
    g = tf.gather(a, [0, 2], axis=1)
    padded = tf.pad(a, [[0, 0], [1, 1], [0, 0]])
    f = tf.tile(a, [1, 2, 1])
    h = tf.where(a > 0.5, a, b)
    c = -a
    d = tf.cast(a > 0.3, tf.float32)
    i = tf.maximum(a, 0.3)
    j = 2.0**a
    oh = tf.one_hot(tf.argmax(a, axis=-1), 6)
    return k2.Model(
        [a, b], [x, y, w, v, t, s, r, q, p, o, n, m[1], k[1], g, padded, f, h, c, d, i, j, oh]
    )


@graph
def dictio():
    a = k2.Input((6,), name="a")
    b = k2.Input((5,), name="b")
    return k2.Model(
        {"x1": a, "x2": b}, {"o1": L.Dense(3, name="o1")(a), "o2": L.Dense(2, name="o2")(b)}
    )


@graph
def names_slash():
    return k2.Sequential(
        [k2.Input((6,)), L.Dense(3, name="block/conv"), L.Dense(2, name="block/b")]
    )


@graph
def mixed():
    p = k2.mixed_precision.Policy("mixed_float16")
    return k2.Sequential([k2.Input((6,)), L.Dense(3, dtype=p), L.Dense(2, dtype="float32")])


@graph
def norm():
    n = L.Normalization()
    n.adapt(np.arange(300, dtype="float32").reshape(50, 6) % 7)
    return k2.Sequential([k2.Input((6,)), n, L.Dense(2)])


@graph
def norm_given():
    return k2.Sequential(
        [k2.Input((6,)), L.Normalization(mean=[1.0] * 6, variance=[2.0] * 6), L.Dense(2)]
    )


@graph
def channels_first_bn():
    return k2.Sequential(
        [
            k2.Input((3, 8, 8)),
            L.ZeroPadding2D(1, data_format="channels_first"),
            L.BatchNormalization(axis=1),
            L.Flatten(data_format="channels_first"),
            L.Dense(2),
        ]
    )


def randomize(model: Any, seed: int = 0) -> None:
    """Random weights; positive ones where a variance is stored."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype.is_floating:
            low = any(word in weight.name for word in ("variance", "stddev"))
            shape = tuple(weight.shape)
            weight.assign(rng.uniform(0.3, 1, shape) if low else rng.normal(0, 0.5, shape))


_IDS = ("embedding", "CategoryEncoding")


def samples(model: Any, name: str, seed: int = 0) -> Any:
    """Inputs for a model, in the structure it takes."""
    rng = np.random.default_rng(seed + 1)
    arrays = []
    for tensor in model.inputs:
        shape = (2, *tensor.shape[1:])
        ids = rng.integers(0, 10, shape)
        arrays.append((ids if name in _IDS else rng.normal(size=shape)).astype("float32"))
    if name == "masked_lstm":
        arrays[0][:, 3:] = 0
    if isinstance(model.input, dict):
        return dict(zip(sorted(model.input), arrays, strict=True))
    return arrays if len(arrays) > 1 else arrays[0]
