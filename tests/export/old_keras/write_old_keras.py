"""Writes model files with a genuine old Keras on Theano, and what that Keras answers for them.

The files in ``old_keras.zip`` were made with this script; tests only read them. To make them again:

    python3.11 -m venv old
    old/bin/pip install numpy==1.23.5 scipy==1.10.1 theano-pymc==1.1.2 h5py pyyaml six
    old/bin/pip install "setuptools<60" keras_applications==1.0.8 keras_preprocessing==1.1.2
    pip download --no-deps keras==1.2.2     # and 1.0.8, 2.0.9, 2.2.4, 2.3.1; unpack each
    old/bin/python write_old_keras.py FOLDER_OF_KERAS OUT th      # and tf

Theano runs as pure Python (no compiler, no BLAS), and has one line patched for NumPy 1.23:
``theano/tensor/signal/pool.py``, line 616, ``yk[[...]]`` to ``yk[tuple(...)]``. Each model gets
random weights; those with an optimizer are trained for two steps before saving and one step after,
so that the file has optimizer state and the answers after the third step are known.
"""

import collections
import collections.abc
import inspect
import json
import os
import sys
import tempfile
import types
import warnings

root, out, fmt = sys.argv[1:4]
home = tempfile.mkdtemp()
settings = {
    "backend": "theano",
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_dim_ordering": fmt,
    "image_data_format": {"th": "channels_first", "tf": "channels_last"}[fmt],
}
os.makedirs(home + "/.keras")
for place in (home, home + "/.keras"):
    with open(place + "/keras.json", "w") as stream:
        json.dump(settings, stream)
os.environ.update(KERAS_BACKEND="theano", KERAS_HOME=home, HOME=home)
os.environ["THEANO_FLAGS"] = (
    "floatX=float32,optimizer=None,blas__ldflags=,cxx=,base_compiledir=" + home
)
sys.path.insert(0, root)
warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
import scipy.signal  # noqa: E402
import scipy.signal._signaltools  # noqa: E402
import scipy.signal._sigtools  # noqa: E402

# Names that Python, NumPy and SciPy have dropped since these versions of Keras.
for _name in ("Iterable", "Mapping", "MutableMapping", "Sequence", "Callable"):
    setattr(collections, _name, getattr(collections.abc, _name))
_spec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")
inspect.getargspec = lambda f: _spec(*inspect.getfullargspec(f)[:4])
for _name in ("sigtools", "signaltools"):
    _module = types.ModuleType("scipy.signal." + _name)
    _old = getattr(scipy.signal, "_" + _name)
    vars(_module).update({k: v for k, v in vars(_old).items() if not k.startswith("__")})
    sys.modules["scipy.signal." + _name] = _module
    setattr(scipy.signal, _name, _module)

import theano.sandbox.rng_mrg as rng_mrg  # noqa: E402

rng_mrg.MRG_RandomStreams = rng_mrg.MRG_RandomStream
import keras  # noqa: E402

V = keras.__version__
major = int(V[0])
rng = np.random.RandomState(0)
th = fmt == "th"
ax = 1 if th else -1


def img(channels, *size):
    return (channels,) + size if th else size + (channels,)


def models1():
    from keras import layers as L
    from keras.layers import Input, merge
    from keras.layers.wrappers import TimeDistributed
    from keras.models import Model, Sequential
    from keras.regularizers import l2

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


def models2():
    from keras import layers as L
    from keras.layers import Input
    from keras.models import Model, Sequential
    from keras.regularizers import l2

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


OPTIMIZERS = {
    "rnn_cpu": "rmsprop",
    "rnn": "rmsprop",
    "embed": "adam",
    "convplain": "adam",
    "func": "sgd",
    "td": "adagrad",
    "bidi": "adadelta",
    "plain": "adamax",
    "conv1d": "nadam",
}


def randomize(layer):
    """Random weights, by layer: a model's `weights` and `get_weights()` have different orders."""
    for inner in getattr(layer, "layers", []) or []:
        randomize(inner)
    if hasattr(layer, "layers"):
        return
    values = []
    for variable, old in zip(layer.weights, layer.get_weights(), strict=True):
        spread = any(word in (variable.name or "") for word in ("std", "variance"))
        new = rng.uniform(0.3, 1, old.shape) if spread else rng.normal(0, 0.5, old.shape)
        values.append(new.astype("float32"))
    if values:
        layer.set_weights(values)


def as_list(value):
    return value if isinstance(value, list) else [value]


def one_or_list(value):
    return value if len(value) > 1 else value[0]


def write(name, model):
    for layer in model.layers:
        for branch in getattr(layer, "layers", None) or []:
            randomize(branch)
        randomize(layer)
    x = []
    for shape in as_list(model.input_shape):
        ids = rng.randint(1, 10, (3,) + shape[1:])
        x.append((ids if name == "embed" else rng.normal(size=(3,) + shape[1:])).astype("float32"))
    optimizer = OPTIMIZERS.get(name)
    model.compile(optimizer or "sgd", "mse", metrics=["accuracy"])
    y = [
        rng.uniform(size=v.shape).astype("float32") for v in as_list(model.predict(one_or_list(x)))
    ]
    for _ in range(2 if optimizer else 0):
        model.train_on_batch(one_or_list(x), one_or_list(y))
    arrays = {f"x{i}": v for i, v in enumerate(x)}
    predicted = as_list(model.predict(one_or_list(x)))
    assert all(np.isfinite(v).all() for v in predicted), name
    arrays.update({f"y{i}": v for i, v in enumerate(predicted)})
    base = f"{out}/k{V}_{fmt}_{name}"
    model.save(base + ".h5")
    if optimizer:
        model.train_on_batch(one_or_list(x), one_or_list(y))
        arrays.update({f"t{i}": v for i, v in enumerate(y)})
        arrays.update({f"z{i}": v for i, v in enumerate(as_list(model.predict(one_or_list(x))))})
    np.savez(base + ".npz", **arrays)


for case, make in models1() if major == 1 else models2():
    try:
        write(case, make())
        print("ok", V, fmt, case)
    except Exception as error:  # noqa: BLE001 (old versions lack some layers; the list shows which)
        print("not written", V, fmt, case, type(error).__name__, str(error)[:200])
