"""The models of Keras 2 that `write_old_keras.py` writes."""

import keras
from keras import layers as L
from keras.layers import Input
from keras.models import Model, Sequential
from keras.regularizers import l2

V = keras.__version__


def models(fmt):
    """Names and makers of the models, for one order of the axes of images."""
    th = fmt == "th"
    ax = 1 if th else -1

    def img(channels, *size):
        return (channels,) + size if fmt == "th" else size + (channels,)

    d = {"data_format": "channels_first" if th else "channels_last"}
    yield (
        "conv",
        lambda: Sequential(
            [
                L.Conv2D(
                    4,
                    (3, 2),
                    input_shape=img(2, 7, 8),
                    padding="same",
                    activation="relu",
                    strides=(2, 1),
                    kernel_regularizer=l2(0.01),
                    **d,
                ),
                L.BatchNormalization(axis=ax),
                L.ZeroPadding2D((1, 2), **d),
                L.Conv2D(3, 3, dilation_rate=2, **d),
                L.MaxPooling2D((2, 2), **d),
                L.Flatten(),
                L.Dropout(0.3),
                L.Dense(3, activation="softmax"),
            ]
        ),
    )
    yield (
        "convplain",
        lambda: Sequential(
            [
                L.Conv2D(4, 3, input_shape=img(2, 7, 6), activation="relu", **d),
                L.Conv2D(3, 2, **d),
                L.Flatten(),
                L.Dense(3),
            ]
        ),
    )
    yield "plain", lambda: Sequential([L.Dense(4, input_dim=5, activation="tanh"), L.Dense(3)])
    yield (
        "updown",
        lambda: Sequential(
            [
                L.UpSampling2D((2, 2), input_shape=img(2, 4, 5), **d),
                L.Conv2D(3, 2, use_bias=False, **d),
                L.AveragePooling2D((2, 2), **d),
                L.GlobalAveragePooling2D(**d),
            ]
        ),
    )
    yield (
        "conv1d",
        lambda: Sequential(
            [
                L.Conv1D(4, 3, input_shape=(9, 3), padding="same"),
                L.LeakyReLU(0.2),
                L.MaxPooling1D(2),
                L.Conv1D(3, 2, padding="causal"),
                L.ThresholdedReLU(0.1),
                L.GlobalMaxPooling1D(),
            ]
        ),
    )
    yield (
        "rnn",
        lambda: Sequential(
            [
                L.LSTM(4, return_sequences=True, input_shape=(5, 3)),
                L.GRU(3, return_sequences=True),
                L.SimpleRNN(3, go_backwards=True),
            ]
        ),
    )
    yield (
        "embed",
        lambda: Sequential(
            [
                L.Embedding(10, 4, input_length=6, mask_zero=True),
                L.LSTM(3),
                L.Dense(2, activation="hard_sigmoid", kernel_initializer="he_normal"),
            ]
        ),
    )
    yield (
        "td",
        lambda: Sequential(
            [L.TimeDistributed(L.Dense(4), input_shape=(5, 3)), L.PReLU(), L.ELU(0.5)]
        ),
    )
    yield (
        "bidi",
        lambda: Sequential(
            [
                L.Bidirectional(L.LSTM(3, return_sequences=True), input_shape=(5, 2)),
                L.Bidirectional(L.GRU(2), merge_mode="sum"),
            ]
        ),
    )
    i = Input((6,))
    j = Input((6,))
    D = L.Dense(4, activation="relu")
    x = D(i)
    y = D(j)
    inner_in = Input((4,))
    inner = Model(inner_in, L.BatchNormalization()(L.Dense(3)(inner_in)))
    outs = [getattr(L, m)()([x, y]) for m in ("Add", "Multiply", "Average", "Maximum")] + [
        inner(x),
        inner(y),
    ]
    yield "func", lambda: Model([i, j], [L.Concatenate()(outs), L.Dot(1)([x, y])])
    seqin = Sequential([L.Dense(4, input_dim=6), L.BatchNormalization()])
    yield "seqseq", lambda: Sequential([seqin, L.Dense(2)])
    yield (
        "conv3d",
        lambda: Sequential(
            [
                L.Conv3D(3, (2, 2, 3), input_shape=img(2, 4, 5, 6), **d),
                L.MaxPooling3D((1, 2, 2), **d),
                L.Flatten(),
            ]
        ),
    )
    yield (
        "deconv",
        lambda: Sequential([L.Conv2DTranspose(3, (3, 2), input_shape=img(2, 4, 5), **d)]),
    )
    yield (
        "deconv_s2",
        lambda: Sequential(
            [L.Conv2DTranspose(3, (3, 2), strides=2, input_shape=img(2, 4, 5), **d)]
        ),
    )
    yield (
        "convlstm",
        lambda: Sequential(
            [
                L.ConvLSTM2D(
                    2,
                    3,
                    input_shape=(3,) + img(2, 5, 4),
                    padding="same",
                    return_sequences=True,
                    **d,
                )
            ]
        ),
    )
    if V >= "2.1":
        yield (
            "sep",
            lambda: Sequential(
                [
                    L.SeparableConv2D(4, 3, depth_multiplier=2, input_shape=img(2, 7, 6), **d),
                    L.DepthwiseConv2D(2, **d),
                ]
            ),
        )
        yield "sep1", lambda: Sequential([L.SeparableConv1D(4, 3, input_shape=(7, 2))])
        yield (
            "relu",
            lambda: Sequential(
                [
                    L.Dense(4, input_dim=5),
                    L.ReLU(max_value=1.0, **({"negative_slope": 0.1} if V >= "2.2.3" else {})),
                    L.Softmax(),
                ]
            ),
        )
        a = Input((5, 3))
        h = Input((4,))
        c = Input((4,))
        yield (
            "state",
            lambda: Model([a, h, c], L.LSTM(4, return_state=True)(a, initial_state=[h, c])),
        )
