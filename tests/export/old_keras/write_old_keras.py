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

import theano.ifelse  # noqa: E402, F401 (Keras 1 uses it and does not import it)
import theano.sandbox.rng_mrg as rng_mrg  # noqa: E402

rng_mrg.MRG_RandomStreams = rng_mrg.MRG_RandomStream
import keras  # noqa: E402

if keras.__version__.startswith("1"):
    from models1 import models
else:
    from models2 import models

V = keras.__version__
rng = np.random.RandomState(0)

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


for case, make in models(fmt):
    try:
        write(case, make())
        print("ok", V, fmt, case)
    except Exception as error:  # noqa: BLE001 (old versions lack some layers; the list shows which)
        print("not written", V, fmt, case, type(error).__name__, str(error)[:200])
