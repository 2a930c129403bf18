"""Seeded random weights, so that nothing a model multiplies or adds is 0 or 1."""

from __future__ import annotations

from typing import Any

import numpy as np


def randomise(model: Any, seed: int = 7) -> Any:
    """Gives every weight of a model random values and returns the model.

    Kernels keep the spread their initializer gave them, so that deep models neither vanish nor
    explode; biases, batch-norm scales, shifts and statistics get values they would have after
    training.

    Args:
        model: A built Keras model.
        seed: Seed of the numbers.
    """
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if "float" not in str(variable.dtype):
            continue
        shape = tuple(variable.shape)
        if variable.name == "gamma":
            values = rng.uniform(0.25, 0.75, shape)
        elif variable.name == "beta":
            values = rng.normal(0.3, 0.2, shape)
        elif variable.name in ("moving_variance", "variance"):
            values = rng.uniform(0.5, 1.5, shape)
        elif variable.name in ("bias", "moving_mean", "mean"):
            values = rng.normal(0, 0.1, shape)
        else:
            fan_in = max(1, int(np.prod(shape[:-1])))
            values = rng.normal(0, np.sqrt(2 / fan_in), shape)
        variable.assign(values.astype("float32"))
    return model


def calibrate(model: Any, x: Any, seed: int = 7) -> Any:
    """Gives batch-norm layers the statistics of the data that reaches them, shaken at random.

    Trained models have such statistics. Statistics that do not fit the data blow residual networks
    up until float32 itself has no correct digits left to compare.

    Args:
        model: A built Keras model.
        x: Inputs to take the statistics of.
        seed: Seed of the shaking.
    """
    import keras

    rng = np.random.default_rng(seed)
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(x, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        variance = layer.moving_variance
        shape = tuple(variance.shape)
        layer.moving_mean.assign_add(rng.normal(0, 0.1, shape) * np.sqrt(np.asarray(variance)))
        variance.assign(np.asarray(variance) * rng.uniform(0.8, 1.25, shape) + 1e-3)
    return model
