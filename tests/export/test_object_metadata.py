"""Initializers, regularizers, constraints, losses, metrics, activations lose nothing."""

from __future__ import annotations

import inspect
import json

import keras
import numpy as np
import pytest
from keras import constraints, initializers, losses, metrics, regularizers
from keras import layers as L

from kbridge.export import jsonable
from tests.export.models import compiled

LOSSES = {
    "BinaryCrossentropy": {"from_logits": True, "label_smoothing": 0.1, "axis": -2},
    "BinaryFocalCrossentropy": {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5},
    "CTC": {"reduction": "sum"},
    "CategoricalCrossentropy": {"from_logits": True, "label_smoothing": 0.1},
    "CategoricalFocalCrossentropy": {"alpha": 0.3, "gamma": 1.5},
    "CategoricalGeneralizedCrossEntropy": {"q": 0.4},
    "CategoricalHinge": {"reduction": "none"},
    "Circle": {"gamma": 60.0, "margin": 0.3},
    "CosineSimilarity": {"axis": -2},
    "Dice": {"axis": [1]},
    "Hinge": {"name": "own"},
    "Huber": {"delta": 0.4},
    "KLDivergence": {"reduction": "sum"},
    "LogCosh": {"dtype": "float64"},
    "MeanAbsoluteError": {"reduction": "mean_with_sample_weight"},
    "MeanAbsolutePercentageError": {"reduction": None},
    "MeanSquaredError": {"reduction": "mean"},
    "MeanSquaredLogarithmicError": {"reduction": "sum"},
    "Poisson": {"reduction": "sum"},
    "SparseCategoricalCrossentropy": {"ignore_class": 1, "from_logits": True},
    "SquaredHinge": {"reduction": "sum"},
    "Tversky": {"alpha": 0.3, "beta": 0.6},
}
METRICS = {
    "AUC": {"num_thresholds": 50, "curve": "PR", "from_logits": True},
    "Accuracy": {"name": "own"},
    "BinaryAccuracy": {"threshold": 0.3},
    "BinaryCrossentropy": {"from_logits": True},
    "BinaryIoU": {"target_class_ids": [0], "threshold": 0.3},
    "CategoricalAccuracy": {},
    "CategoricalCrossentropy": {"label_smoothing": 0.2},
    "CategoricalHinge": {},
    "ConcordanceCorrelation": {"axis": 1},
    "CosineSimilarity": {"axis": 1},
    "F1Score": {"average": "micro", "threshold": 0.4},
    "FBetaScore": {"beta": 2.0, "average": "macro"},
    "FalseNegatives": {"thresholds": 0.3},
    "FalsePositives": {"thresholds": [0.3, 0.4]},
    "Hinge": {},
    "IoU": {"num_classes": 3, "target_class_ids": [1], "ignore_class": 0},
    "KLDivergence": {},
    "LogCoshError": {},
    "Mean": {},
    "MeanAbsoluteError": {"dtype": "float64"},
    "MeanAbsolutePercentageError": {},
    "MeanIoU": {"num_classes": 3, "ignore_class": 1},
    "MeanMetricWrapper": {"fn": losses.mean_squared_error},
    "MeanSquaredError": {},
    "MeanSquaredLogarithmicError": {},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": 3},
    "PearsonCorrelation": {"axis": 1},
    "Poisson": {},
    "Precision": {"thresholds": 0.3, "top_k": 2, "class_id": 1},
    "PrecisionAtRecall": {"recall": 0.4, "num_thresholds": 50},
    "R2Score": {"num_regressors": 1},
    "Recall": {"thresholds": 0.3},
    "RecallAtPrecision": {"precision": 0.4},
    "RootMeanSquaredError": {},
    "SensitivityAtSpecificity": {"specificity": 0.4},
    "SparseCategoricalAccuracy": {},
    "SparseCategoricalCrossentropy": {"axis": 1},
    "SparseTopKCategoricalAccuracy": {"k": 3, "from_sorted_ids": True},
    "SpecificityAtSensitivity": {"sensitivity": 0.4},
    "SquaredHinge": {},
    "Sum": {},
    "TopKCategoricalAccuracy": {"k": 3},
    "TrueNegatives": {"thresholds": 0.3},
    "TruePositives": {"thresholds": 0.3},
}
OBJECTS = {
    "initializers": {
        "Constant": {"value": 0.3},
        "GlorotNormal": {"seed": 1},
        "GlorotUniform": {"seed": 1},
        "HeNormal": {"seed": 1},
        "HeUniform": {"seed": 1},
        "Identity": {"gain": 2.0},
        "LecunNormal": {"seed": 1},
        "LecunUniform": {"seed": 1},
        "Ones": {},
        "Orthogonal": {"gain": 1.5, "seed": 1},
        "RandomNormal": {"mean": 0.1, "stddev": 0.2, "seed": 1},
        "RandomUniform": {"minval": 0.1, "maxval": 0.2, "seed": 1},
        "STFT": {"side": "imag", "window": "hamming"},
        "TruncatedNormal": {"mean": 0.1, "stddev": 0.2, "seed": 1},
        "VarianceScaling": {"scale": 2.0, "mode": "fan_out", "distribution": "uniform"},
        "Zeros": {},
    },
    "regularizers": {
        "L1": {"l1": 0.1},
        "L1L2": {"l1": 0.1, "l2": 0.2},
        "L2": {"l2": 0.2},
        "OrthogonalRegularizer": {"factor": 0.3, "mode": "columns"},
    },
    "constraints": {
        "MaxNorm": {"max_value": 3, "axis": 1},
        "MinMaxNorm": {"min_value": 0.1, "max_value": 2.0, "rate": 0.5, "axis": 1},
        "NonNeg": {},
        "UnitNorm": {"axis": 1},
    },
    "losses": LOSSES,
    "metrics": METRICS,
}
MODULES = {
    "initializers": (initializers, initializers.Initializer, ()),
    "regularizers": (regularizers, regularizers.Regularizer, ()),
    "constraints": (constraints, constraints.Constraint, ()),
    "losses": (losses, losses.Loss, ()),
    "metrics": (metrics, metrics.Metric, ()),
}
CASES = [(kind, name) for kind, classes in OBJECTS.items() for name in classes]


@pytest.mark.parametrize("kind", OBJECTS)
def test_every_class_is_covered(kind):
    module, base, but = MODULES[kind]
    exported = {
        name
        for name, found in vars(module).items()
        if inspect.isclass(found) and issubclass(found, base) and found is not base
    }
    covered = {getattr(module, name) for name in OBJECTS[kind]}
    assert {getattr(module, name) for name in exported} - covered == set()


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_objects_survive_the_round_trip(kind, name):
    module = MODULES[kind][0]
    given = OBJECTS[kind][name]
    original = getattr(module, name)(**given)
    stored = json.loads(json.dumps(jsonable.jsonable(original), allow_nan=False))
    for key, value in given.items():
        if key not in ("fn", "dtype"):
            # NB: Keras keeps the factors of regularizers as float32.
            rounded = float(np.float32(value)) if isinstance(value, float) else value
            assert stored["config"][key] in (value, rounded)
    rebuilt = keras.saving.deserialize_keras_object(stored)
    assert type(rebuilt) is type(original)
    assert jsonable.jsonable(rebuilt) == stored
    for key in given:
        for holder in (vars(original), vars(original).get("_fn_kwargs", {})):
            if key in holder:
                twin = vars(rebuilt) if holder is vars(original) else vars(rebuilt)["_fn_kwargs"]
                assert twin[key] == holder[key] or key == "fn"


ACTIVATIONS = sorted(
    name
    for name, function in vars(keras.activations).items()
    if inspect.isfunction(function) and name not in ("get", "serialize", "deserialize")
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    function = getattr(keras.activations, name)
    config = L.Activation(function).get_config()
    stored = jsonable.jsonable(config)["activation"]
    assert isinstance(stored, str)
    assert keras.activations.deserialize(stored) is function


FUNCTIONS = [f for f in vars(losses).values() if inspect.isfunction(f) and "y_true" in
             inspect.signature(f).parameters]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_loss_functions(function):
    found = compiled(loss=function)["loss"]
    assert keras.saving.deserialize_keras_object(found) is function
