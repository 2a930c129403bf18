"""Every optimizer, plain, clipped, decayed and scheduled: five steps of a whole model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras.optimizers import schedules

from tests.optimizers.test_optimizers import OPTIMIZERS
from tests.training import parity

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.2},
    "global_clipnorm": {"global_clipnorm": 0.3},
    "clipvalue": {"clipvalue": 0.05},
    "decayed": {"weight_decay": 0.05},
    "scheduled": {},
}
# What the normal run has: each variant and each way of an update once.
ALWAYS = {
    ("SGD nesterov", "clipnorm"),
    ("Adam", "scheduled"),
    ("RMSprop centered", "clipvalue"),
    ("Lamb", "decayed"),
    ("Muon", "global_clipnorm"),
    ("ScheduleFreeAdamW", "plain"),
}
ROWS = 8 * parity.STEPS
# NB: many, so that a batch has none of them more than four times: the centred RMSprop of Keras then
# takes the root of a number below 0, where the squares of a row's gradients count one by one.
WORDS = 60


def model() -> keras.Model:
    """Tokens that repeat, whose gradients come in rows, filters, kernels, vectors, a scalar."""
    keras.utils.set_random_seed(4)
    tokens, image = keras.Input((6,), dtype="int32"), keras.Input((5, 5, 2))
    words = layers.Flatten()(layers.Embedding(WORDS, 3)(tokens))
    pixels = layers.Flatten()(layers.Conv2D(3, 3, activation="tanh")(image))
    joined = layers.LayerNormalization()(layers.Concatenate()([words, pixels]))
    hidden = layers.PReLU(shared_axes=[1])(layers.Dense(5)(joined))
    return keras.Model([tokens, image], layers.Dense(3)(hidden))


def combinations() -> Iterator[Any]:
    for name in OPTIMIZERS:
        for variant in VARIANTS:
            marks = [] if (name, variant) in ALWAYS else pytest.mark.slow
            yield pytest.param(name, variant, id=f"{name}-{variant}", marks=marks)


@pytest.mark.parametrize(("name", "variant"), list(combinations()))
def test_steps(jvm: Any, tmp_path: Path, record_property: Any, name: str, variant: str) -> None:
    record_property("suite", "training steps, optimizers")
    options = VARIANTS[variant]
    if name == "Ftrl regularized" and "clip" in variant:
        # NB: its L1 makes weights of small gradients 0, all of some layers: nothing to compare.
        options = {key: 10 * value for key, value in options.items()}
    optimizer = OPTIMIZERS[name](**options)
    if variant == "decayed":
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    if variant == "scheduled":
        rate = float(optimizer.learning_rate)
        optimizer.learning_rate = schedules.ExponentialDecay(rate, 2, 0.7, staircase=True)
    trained = model()
    trained.compile(optimizer, "mse", metrics=["mae"], jit_compile=False)
    draw = np.random.default_rng(8)
    x = [
        draw.integers(0, WORDS, (ROWS, 6)).astype("int32"),
        draw.normal(size=(ROWS, 5, 5, 2)).astype("float32"),
    ]
    y = draw.normal(size=(ROWS, 3)).astype("float32")
    parity.check(parity.follow(trained, tmp_path / "m.h5", x, y))
