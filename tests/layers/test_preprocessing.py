"""Preprocessing of numbers, categories and signals."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tests.layers.harness import Case, In, layer_test

NUMBERS, TABLE = (In((5,)),), (In((4, 3)),)
TOKENS = (In((5,), "int32", high=6),)
IDS = (In((5,), "int64", low=-3, high=60),)
VOCABULARY = [12, 36, -2, 7, 50]


def _adapted(**config: Any) -> Any:
    def make() -> Any:
        layer = keras.layers.Normalization(**config)
        rng = np.random.default_rng(3)
        layer.adapt(rng.normal(3, 2, (20, 4, 3)).astype("float32"))
        return layer

    return make


_NUMBERS = [
    Case(
        "Normalization",
        "default",
        (In((3,)),),
        {"mean": [1.0, 2.0, 0.5], "variance": [4.0, 1.0, 0.3]},
    ),
    Case("Normalization", "adapted", TABLE, _adapted()),
    Case("Normalization", "adapted over everything", TABLE, _adapted(axis=None)),
    Case("Normalization", "first axis", TABLE, _adapted(axis=1)),
    Case("Normalization", "inverted", TABLE, _adapted(invert=True)),
    Case("Rescaling", "default", TABLE, {"scale": 1 / 255}),
    Case("Rescaling", "offset", TABLE, {"scale": 2.0, "offset": -1.0}),
    Case("Rescaling", "per channel", TABLE, {"scale": [0.5, 1.0, 2.0], "offset": [1.0, 0.0, -1.0]}),
    Case(
        "Rescaling",
        "integers",
        (In((4, 3), "uint8", high=255),),
        {"scale": 1 / 127.5, "offset": -1},
    ),
]


def _weighted(layer: Any, x: Any, weights: Any) -> Any:
    return layer(x, count_weights=weights)


_CATEGORIES = [
    Case("CategoryEncoding", "default", TOKENS, {"num_tokens": 6}),
    Case(
        "CategoryEncoding",
        "one hot",
        (In((1,), "int32", high=6),),
        {"num_tokens": 6, "output_mode": "one_hot"},
    ),
    Case(
        "CategoryEncoding",
        "one hot of several",
        TOKENS,
        {"num_tokens": 6, "output_mode": "one_hot"},
    ),
    Case("CategoryEncoding", "count", TOKENS, {"num_tokens": 6, "output_mode": "count"}),
    Case(
        "CategoryEncoding",
        "weighted count",
        (*TOKENS, In((5,))),
        {"num_tokens": 6, "output_mode": "count"},
        call=_weighted,
    ),
    Case("CategoryEncoding", "three dimensions", (In((2, 3), "int32", high=6),), {"num_tokens": 6}),
    Case(
        "CategoryEncoding",
        "scalars",
        (In((), "int32", high=6),),
        {"num_tokens": 6, "output_mode": "one_hot"},
    ),
    Case("Discretization", "default", NUMBERS, {"bin_boundaries": [-1.0, 0.0, 0.7]}),
    Case(
        "Discretization",
        "one hot",
        NUMBERS,
        {"bin_boundaries": [-1.0, 0.7], "output_mode": "one_hot"},
    ),
    Case(
        "Discretization",
        "multi hot",
        NUMBERS,
        {"bin_boundaries": [-1.0, 0.7], "output_mode": "multi_hot"},
    ),
    Case(
        "Discretization", "count", NUMBERS, {"bin_boundaries": [-1.0, 0.7], "output_mode": "count"}
    ),
    Case(
        "Discretization",
        "integers",
        (In((5,), "int32", low=-9),),
        {"bin_boundaries": [-3.0, 0.0, 3.0]},
    ),
]

LONG = In((1,), "int64", low=-(2**62), high=2**62)

_HASHING = [
    Case("Hashing", "default", (In((5,), "int32", low=-99, high=9999),), {"num_bins": 7}),
    Case(
        "Hashing",
        "long integers",
        (In((5,), "int64", low=-(2**62), high=2**62),),
        {"num_bins": 101},
    ),
    Case("Hashing", "salt", IDS, {"num_bins": 11, "salt": 1337}),
    Case("Hashing", "two salts", IDS, {"num_bins": 11, "salt": (133, 137)}),
    Case("Hashing", "mask", IDS, {"num_bins": 4, "mask_value": 5}),
    Case("Hashing", "one hot", IDS, {"num_bins": 4, "output_mode": "one_hot"}),
    Case("Hashing", "multi hot", IDS, {"num_bins": 4, "output_mode": "multi_hot"}),
    Case("Hashing", "count", IDS, {"num_bins": 4, "output_mode": "count"}),
    Case("HashedCrossing", "default", (In((), "int64"), In((), "int64")), {"num_bins": 7}),
    Case(
        "HashedCrossing", "column", (In((1,), "int64", low=-9), In((1,), "int32")), {"num_bins": 7}
    ),
    Case("HashedCrossing", "large", (LONG, LONG), {"num_bins": 1013}),
    Case(
        "HashedCrossing",
        "one hot",
        (In((1,), "int64"), In((1,), "int64")),
        {"num_bins": 5, "output_mode": "one_hot"},
    ),
]


def _lookup(name: str, inputs: tuple[In, ...] = IDS, **config: Any) -> Case:
    return Case("IntegerLookup", name, inputs, dict(vocabulary=VOCABULARY, **config), arrays=_ids)


def _ids(variant: int) -> list[np.ndarray]:
    """Half of them in the vocabulary; the smallest one always, as a mask."""
    x = IDS[0].array(variant, "ids")
    x[:, ::2] = np.random.default_rng(variant).choice(VOCABULARY, x[:, ::2].shape)
    x[0, 1] = -2
    return [x]


_LOOKUP = [
    _lookup("default"),
    _lookup("two unknown", num_oov_indices=2),
    _lookup("mask", mask_token=0),
    _lookup("mask and two unknown", mask_token=0, num_oov_indices=2),
    _lookup("one hot", output_mode="one_hot"),
    _lookup("multi hot", output_mode="multi_hot"),
    _lookup("count", output_mode="count", mask_token=0),
    _lookup("tf-idf", output_mode="tf_idf", idf_weights=[0.5, 0.1, 0.9, 0.3, 0.7]),
    _lookup("padded", output_mode="multi_hot", max_tokens=9, pad_to_max_tokens=True),
    _lookup("hashed unknown", num_oov_indices=3, oov_method="farmhash"),
    _lookup("salted unknown", num_oov_indices=3, oov_method="farmhash", salt=(3, 4)),
    Case(
        "IntegerLookup",
        "inverted",
        (In((5,), "int64", high=8),),
        {"vocabulary": VOCABULARY, "invert": True},
    ),
]


def _vectorized() -> keras.Model:
    words = keras.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3)
    return _of_strings(words)


def _of_strings(layer: Any) -> keras.Model:
    x = keras.Input((1,), dtype="string")
    return keras.Model(x, layer(x))


_STRINGS = [
    Case(
        "StringLookup",
        "refused",
        (),
        model=lambda: _of_strings(keras.layers.StringLookup(vocabulary=["a", "b"])),
        refusal="StringLookup.*strings",
    ),
    Case(
        "TextVectorization", "refused", (), model=_vectorized, refusal="TextVectorization.*strings"
    ),
    Case(
        "Hashing",
        "strings",
        (),
        model=lambda: _of_strings(keras.layers.Hashing(num_bins=3)),
        refusal="strings",
    ),
]

SIGNAL, CHANNELS = (In((600,)),), (In((600, 1)),)
_STFT = {"frame_length": 64, "frame_step": 16, "fft_length": 128}

_SIGNALS = [
    Case("MelSpectrogram", "default", (In((3000,)),)),
    Case(
        "MelSpectrogram",
        "options",
        SIGNAL,
        {
            "fft_length": 128,
            "sequence_stride": 32,
            "num_mel_bins": 20,
            "sampling_rate": 4000,
            "power_to_db": False,
        },
    ),
    Case(
        "MelSpectrogram",
        "hamming",
        SIGNAL,
        {
            "fft_length": 128,
            "sequence_stride": 50,
            "sequence_length": 100,
            "window": "hamming",
            "num_mel_bins": 10,
            "mag_exp": 1.0,
        },
    ),
    *(
        Case("STFTSpectrogram", mode, CHANNELS, dict(mode=mode, **_STFT))
        for mode in ("log", "magnitude", "psd", "real", "imag", "stft")
    ),
    Case("STFTSpectrogram", "default", CHANNELS),
    Case(
        "STFTSpectrogram",
        "same spectrum",
        CHANNELS,
        dict(padding="same", scaling="spectrum", periodic=True, **_STFT),
    ),
    Case(
        "STFTSpectrogram",
        "expanded",
        (In((600, 2)),),
        dict(expand_dims=True, window="hamming", **_STFT),
    ),
    Case("STFTSpectrogram", "angle", CHANNELS, dict(mode="angle", **_STFT)),
]

CASES = [*_NUMBERS, *_CATEGORIES, *_HASHING, *_LOOKUP, *_STRINGS, *_SIGNALS]

test_layer = layer_test(CASES)
