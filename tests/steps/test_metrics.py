"""Every metric of Keras, updated over batches of different sizes, as traced into the steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.steps.harness import check, zero_rate
from tests.weights import randomise

m = keras.metrics
_RNG = np.random.default_rng(23)
_ROWS, _UNITS = 9, 4


def _numbers() -> np.ndarray:
    return _RNG.normal(size=(_ROWS, _UNITS)).astype("float32")


def _positive() -> np.ndarray:
    return _RNG.uniform(0.1, 2.0, (_ROWS, _UNITS)).astype("float32")


def _bits() -> np.ndarray:
    return _RNG.integers(0, 2, (_ROWS, _UNITS)).astype("float32")


def _bit() -> np.ndarray:
    return _bits()[:, :1]


def _one_hot() -> np.ndarray:
    return np.eye(_UNITS, dtype="float32")[_RNG.integers(0, _UNITS, _ROWS)]


def _classes() -> np.ndarray:
    return _RNG.integers(0, _UNITS, _ROWS).astype("int32")


def doubled_error(y_true: Any, y_pred: Any) -> Any:
    """A function as users write them."""
    return 2.0 * keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


class LargestError(keras.metrics.Metric):
    """A metric as users write them, with state of its own and a start that is not 0."""

    def __init__(self, name: str = "largest_error", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.largest = self.add_variable((), keras.initializers.Constant(-1.0), name="largest")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Keeps the largest error."""
        error = keras.ops.max(keras.ops.abs(y_true - y_pred))
        self.largest.assign(keras.ops.maximum(self.largest, error))

    def reset_state(self) -> None:
        """Starts anew."""
        self.largest.assign(-1.0)

    def result(self) -> Any:
        """The largest error."""
        return self.largest


def _of_numbers() -> list[Any]:
    return [
        *("mae", "mse", doubled_error),
        m.MeanSquaredError(),
        m.RootMeanSquaredError(),
        m.MeanAbsoluteError(),
        m.CosineSimilarity(),
        m.LogCoshError(),
        m.Hinge(),
        m.SquaredHinge(),
        m.CategoricalHinge(),
        m.R2Score(),
        m.R2Score(class_aggregation=None, name="r2_each"),
        m.PearsonCorrelation(),
        m.ConcordanceCorrelation(),
        LargestError(),
    ]


def _of_positive() -> list[Any]:
    return [
        m.MeanAbsolutePercentageError(),
        m.MeanSquaredLogarithmicError(),
        m.Poisson(),
        m.KLDivergence(),
    ]


def _of_bits() -> list[Any]:
    return [
        m.BinaryAccuracy(threshold=0.4),
        m.BinaryCrossentropy(),
        m.FBetaScore(beta=2.0, threshold=0.5, average="macro"),
    ]


def _of_several_bits() -> list[Any]:
    """Those that take no weight a sample where a sample has several bits."""
    return [
        *_of_one_bit(),
        m.BinaryIoU(target_class_ids=[0, 1], threshold=0.5),
        m.Precision(top_k=2, name="precision_top"),
        m.Recall(class_id=1, name="recall_class"),
        m.AUC(num_thresholds=20, multi_label=True, num_labels=_UNITS, name="auc_labels"),
    ]


def _of_one_bit() -> list[Any]:
    return [
        m.Precision(),
        m.Precision(thresholds=[0.3, 0.7], name="precisions"),
        m.Recall(thresholds=0.4),
        m.TruePositives(),
        m.TrueNegatives(thresholds=[0.2, 0.6]),
        m.FalsePositives(),
        m.FalseNegatives(),
        m.AUC(num_thresholds=20),
        m.AUC(num_thresholds=20, curve="PR", name="auc_pr"),
        m.AUC(num_thresholds=20, summation_method="minoring", name="auc_minoring"),
        m.AUC(thresholds=[0.2, 0.35, 0.8], from_logits=False, name="auc_chosen"),
        m.PrecisionAtRecall(0.5, num_thresholds=20),
        m.RecallAtPrecision(0.6, num_thresholds=20),
        m.SensitivityAtSpecificity(0.5, num_thresholds=20),
        m.SpecificityAtSensitivity(0.5, num_thresholds=20),
    ]


def _of_one_hot() -> list[Any]:
    return [
        "accuracy",
        m.CategoricalAccuracy(),
        m.CategoricalCrossentropy(label_smoothing=0.1),
        m.TopKCategoricalAccuracy(k=2),
        m.F1Score(),
        m.F1Score(average="weighted", name="f1_weighted"),
        m.OneHotIoU(num_classes=_UNITS, target_class_ids=[0, 2]),
        m.OneHotMeanIoU(num_classes=_UNITS),
        m.Accuracy(),
    ]


def _of_classes() -> list[Any]:
    return [
        *("acc", "sparse_categorical_accuracy"),
        m.SparseCategoricalAccuracy(),
        m.SparseCategoricalCrossentropy(),
        m.SparseTopKCategoricalAccuracy(k=2),
        m.MeanIoU(num_classes=_UNITS, sparse_y_pred=False),
        m.IoU(num_classes=_UNITS, target_class_ids=[1], sparse_y_pred=False),
    ]


FAMILIES: dict[str, tuple[Callable, Callable, str | None, str]] = {
    "numbers": (_of_numbers, _numbers, None, "mse"),
    "positive": (_of_positive, _positive, "softplus", "mse"),
    "bits": (_of_bits, _bits, "sigmoid", "binary_crossentropy"),
    "several_bits": (_of_several_bits, _bits, "sigmoid", "binary_crossentropy"),
    "one_bit": (_of_one_bit, _bit, "sigmoid", "binary_crossentropy"),
    "one_hot": (_of_one_hot, _one_hot, "softmax", "categorical_crossentropy"),
    "classes": (_of_classes, _classes, "softmax", "sparse_categorical_crossentropy"),
}
# Metrics whose update Keras cannot weigh by one weight a sample.
_NEVER_WEIGHTED = ("largest_error",)


# NB: Keras cannot weigh several bits of a sample by one number.
CASES = [(f, w) for f in FAMILIES for w in (False, True) if (f, w) != ("several_bits", True)]


@pytest.mark.parametrize(("family", "weighted"), CASES)
def test_metrics(jvm: Any, tmp_path: Path, family: str, weighted: bool) -> None:
    metrics, make, activation, loss = FAMILIES[family]
    labels = make()
    keras.utils.set_random_seed(3)
    x = keras.Input((6,), name="x")
    units = labels.shape[1] if labels.ndim > 1 else _UNITS
    y = keras.layers.Dense(units, activation=activation, name="out")(x)
    model = randomise(keras.Model(x, y))
    chosen = [one for one in metrics() if getattr(one, "name", "") not in _NEVER_WEIGHTED]
    chosen = chosen if weighted else metrics()
    if weighted:
        model.compile(zero_rate(), loss, weighted_metrics=chosen)
    else:
        model.compile(zero_rate(), loss, metrics=chosen)
    given = _RNG.normal(size=(_ROWS, 6)).astype("float32")
    weights = [_RNG.uniform(0.2, 2, _ROWS).astype("float32")] if weighted else None
    check(model, tmp_path, [given], [labels], weights)


def test_metrics_of_several_outputs_have_the_names_that_keras_gives_them(
    jvm: Any, tmp_path: Path
) -> None:
    x = keras.Input((6,), name="x")
    outputs = [keras.layers.Dense(3, name="a")(x), keras.layers.Dense(1, name="b")(x)]
    model = randomise(keras.Model(x, outputs))
    model.compile(
        zero_rate(),
        {"a": "mse", "b": keras.losses.Huber()},
        loss_weights={"a": 0.3, "b": 2.0},
        metrics={"a": ["mae", m.MeanSquaredError(name="same")]},
        weighted_metrics={"b": [m.MeanSquaredError(name="same"), "mae"], "a": ["mae"]},
    )
    given = [_RNG.normal(size=(_ROWS, n)).astype("float32") for n in (6, 3, 1)]
    weights = [_RNG.uniform(0.2, 2, _ROWS).astype("float32") for _ in range(2)]
    check(model, tmp_path, given[:1], given[1:], weights)
