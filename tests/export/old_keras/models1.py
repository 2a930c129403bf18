"""The models of Keras 1 that `write_old_keras.py` writes."""

import keras
from keras import layers as L
from keras.layers import Input, merge
from keras.layers.wrappers import TimeDistributed
from keras.models import Model, Sequential
from keras.regularizers import l2

V = keras.__version__


def models(fmt):
    """Names and makers of the models, for one order of the axes of images."""
    ax = 1 if fmt == "th" else -1

    def img(channels, *size):
        return (channels,) + size if fmt == "th" else size + (channels,)

    d = {"dim_ordering": fmt}
    yield (
        "conv",
        lambda: Sequential(
            [
                L.Convolution2D(
                    4,
                    3,
                    2,
                    input_shape=img(2, 7, 8),
                    border_mode="same",
                    activation="relu",
                    subsample=(2, 1),
                    W_regularizer=l2(0.01),
                    **d,
                ),
                L.BatchNormalization(axis=ax),
                L.ZeroPadding2D((1, 2), **d),
                L.Convolution2D(3, 3, 3, **d),
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
                L.Convolution2D(4, 3, 3, input_shape=img(2, 7, 6), activation="relu", **d),
                L.Convolution2D(3, 2, 2, **d),
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
                L.UpSampling2D((2, 2), input_shape=img(2, 4, 5)),
                L.Convolution2D(3, 2, 2, bias=False, **d),
                L.AveragePooling2D((2, 2), **d),
                L.GlobalAveragePooling2D(**d),
            ]
        ),
    )
    yield (
        "conv1d",
        lambda: Sequential(
            [
                L.Convolution1D(4, 3, input_shape=(9, 3), border_mode="same"),
                L.LeakyReLU(0.2),
                L.MaxPooling1D(2),
                L.Convolution1D(3, 2, subsample_length=2),
                L.ThresholdedReLU(0.1),
                L.GlobalMaxPooling1D(),
            ]
        ),
    )
    for cl in ("cpu", "gpu"):
        yield (
            "rnn_" + cl,
            lambda cl=cl: Sequential(
                [
                    L.LSTM(4, return_sequences=True, input_shape=(5, 3), consume_less=cl),
                    L.GRU(3, return_sequences=True, consume_less=cl),
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
                L.Dense(2, activation="hard_sigmoid", init="he_normal"),
            ]
        ),
    )
    yield (
        "td",
        lambda: Sequential(
            [TimeDistributed(L.Dense(4), input_shape=(5, 3)), L.PReLU(), L.ELU(0.5)]
        ),
    )
    if hasattr(keras.layers.wrappers, "Bidirectional"):
        from keras.layers.wrappers import Bidirectional

        yield (
            "bidi",
            lambda: Sequential(
                [
                    Bidirectional(L.LSTM(3, return_sequences=True), input_shape=(5, 2)),
                    Bidirectional(L.GRU(2), merge_mode="sum"),
                ]
            ),
        )
    a = Sequential([L.Dense(3, input_dim=4, activation="tanh")])
    b = Sequential([L.Dense(3, input_dim=5), L.Dense(3)])
    from keras.layers import Merge

    yield "merge", lambda: Sequential([Merge([a, b], mode="concat"), L.Dense(2)])
    i = Input((6,))
    j = Input((6,))
    D = L.Dense(4, activation="relu")
    x = D(i)
    y = D(j)
    inner_in = Input((4,))
    inner = Model(inner_in, L.BatchNormalization()(L.Dense(3)(inner_in)))
    outs = [merge([x, y], mode=m) for m in ("sum", "mul", "ave", "max")] + [inner(x), inner(y)]
    yield (
        "func",
        lambda: Model([i, j], [merge(outs, mode="concat"), merge([x, y], mode="dot", dot_axes=1)]),
    )
    seqin = Sequential([L.Dense(4, input_dim=6), L.BatchNormalization()])
    yield "seqseq", lambda: Sequential([seqin, L.Dense(2)])
    if V > "1.1":
        yield (
            "conv3d",
            lambda: Sequential(
                [
                    L.Convolution3D(3, 2, 2, 3, input_shape=img(2, 4, 5, 6), **d),
                    L.MaxPooling3D((1, 2, 2), **d),
                    L.Flatten(),
                ]
            ),
        )
        yield (
            "deconv",
            lambda: Sequential(
                [
                    L.Deconvolution2D(
                        3,
                        3,
                        2,
                        output_shape=(None,) + img(3, 6, 6),
                        border_mode="valid",
                        input_shape=img(2, 4, 5),
                        **d,
                    )
                ]
            ),
        )
    if V > "1.2":
        yield (
            "convlstm",
            lambda: Sequential(
                [
                    L.ConvLSTM2D(
                        2,
                        3,
                        3,
                        input_shape=(3,) + img(2, 5, 4),
                        border_mode="same",
                        return_sequences=False,
                        **d,
                    )
                ]
            ),
        )
