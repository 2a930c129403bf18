"""`compile()`'s arguments in the Keras 2 dialect (2.11 and later)."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import keras

from kbridge.export import jsonable, training
from kbridge.export import keras2_objects as objects
from kbridge.export.keras2_objects import NotKeras2

# Classes whose formula and arguments are the same in both. Not Nadam, whose state Keras 2 does not
# keep whole, nor Lion, which it does not find again in a file.
_OPTIMIZERS = frozenset("Adadelta Adagrad Adam AdamW Adamax Ftrl RMSprop SGD".split())
_SCHEDULES = frozenset(
    "CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay "
    "PolynomialDecay".split()
)
_LOSSES = frozenset(
    "BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy "
    "CategoricalFocalCrossentropy CategoricalHinge CosineSimilarity Hinge Huber KLDivergence "
    "LogCosh MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError "
    "MeanSquaredLogarithmicError Poisson SparseCategoricalCrossentropy SquaredHinge".split()
)
_METRICS = frozenset(
    "AUC BinaryAccuracy BinaryCrossentropy CategoricalAccuracy CategoricalCrossentropy "
    "CategoricalHinge FalseNegatives FalsePositives Hinge KLDivergence LogCoshError "
    "MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError "
    "Poisson Precision Recall RootMeanSquaredError SparseCategoricalAccuracy "
    "SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SquaredHinge "
    "TopKCategoricalAccuracy TrueNegatives TruePositives".split()
)
_FUNCTIONS = frozenset(
    "binary_crossentropy categorical_crossentropy categorical_hinge cosine_similarity hinge huber "
    "kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error "
    "mean_squared_logarithmic_error poisson sparse_categorical_crossentropy squared_hinge mse mae "
    "mape msle MSE MAE MAPE MSLE".split()
)
_METRIC_NAMES = _FUNCTIONS | {"accuracy", "acc", "binary_accuracy", "categorical_accuracy"}
_REDUCTIONS = {
    "sum_over_batch_size": "sum_over_batch_size",
    "sum": "sum",
    "none": "none",
    None: "none",
}
_ONLY_KERAS_3 = {"loss_scale_factor": None, "gradient_accumulation_steps": None}


def training_config(model: keras.Model) -> dict[str, Any]:
    """Returns the `training_config` of a Keras 2 file.

    Raises:
        NotKeras2: The model is not compiled, or not in a way that Keras 2 knows.
    """
    arguments = training.compile_arguments(model)
    if arguments is None or model.optimizer is None:
        raise NotKeras2("the model is not compiled with an optimizer")
    return {
        "loss": _structure(arguments.get("loss"), _loss),
        "metrics": _structure(arguments.get("metrics"), _metric),
        "weighted_metrics": _structure(arguments.get("weighted_metrics"), _metric),
        "loss_weights": _plain(arguments.get("loss_weights")),
        "optimizer_config": _optimizer(model.optimizer),
    }


def _plain(value: Any) -> Any:
    return objects.value_of(jsonable.jsonable(value), "loss_weights")


def _structure(value: Any, translate: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: _structure(member, translate) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_structure(member, translate) for member in value]
    return translate(value)


def _loss(value: Any) -> Any:
    if isinstance(value, (str, types.FunctionType)):
        return _name(value, _FUNCTIONS, "loss")
    written = _object(value, "keras.losses", _LOSSES, "loss")
    reduction = written["config"].get("reduction")
    if reduction not in _REDUCTIONS:
        raise NotKeras2(f"loss: Keras 2 has not the reduction {reduction!r}")
    written["config"]["reduction"] = _REDUCTIONS[reduction]
    return written


def _metric(value: Any) -> Any:
    if isinstance(value, (str, types.FunctionType)):
        return _name(value, _METRIC_NAMES, "metric")
    return _object(value, "keras.metrics", _METRICS, "metric")


def _name(value: Any, known: frozenset[str], what: str) -> str:
    if isinstance(value, types.FunctionType):
        value = jsonable.jsonable(jsonable.serialised(value)).get("config")
    if value not in known:
        raise NotKeras2(f"{what}: Keras 2 has not the same {value!r}")
    return value


def _object(value: Any, module: str, known: frozenset[str], what: str) -> dict[str, Any]:
    described = jsonable.serialised(value)
    name = described.get("class_name")
    if described.get("module") != module or described["registered_name"] or name not in known:
        raise NotKeras2(f"{what}: Keras 2 has not the same {described}")
    config = dict(described["config"])
    if what == "loss":
        config = objects.without(config, {"dtype": keras.config.floatx()}, f"loss {name}")
    elif "dtype" in config:
        config["dtype"] = objects.dtype(config["dtype"], what)
    return {"class_name": name, "config": objects.value_of(config, what)}


def _optimizer(optimizer: Any) -> dict[str, Any]:
    described = keras.saving.serialize_keras_object(optimizer)
    name = described["class_name"]
    if described["module"] != "keras.optimizers" or name not in _OPTIMIZERS:
        raise NotKeras2(f"optimizer: Keras 2 has not the same {described['module']}.{name}")
    if training.excludes_from_weight_decay(optimizer):
        raise NotKeras2("optimizer: Keras 2 files do not keep exclude_from_weight_decay()")
    config = objects.without(described["config"], _ONLY_KERAS_3, f"optimizer {name}")
    rate = config.pop("learning_rate")
    written = objects.value_of(config, f"optimizer {name}")
    return {
        "class_name": name,
        "config": {**written, "learning_rate": _rate(rate), "is_legacy_optimizer": False},
    }


def _rate(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if value["module"] != "keras.optimizers.schedules" or value["class_name"] not in _SCHEDULES:
        raise NotKeras2(f"learning rate: Keras 2 has not {value['module']}.{value['class_name']}")
    config = objects.value_of(value["config"], "learning rate")
    return {"class_name": value["class_name"], "config": config}


def optimizer_layout(optimizer: Any, paths: list[str]) -> list[str] | None:
    """Returns those of an optimizer's variables, by path, that Keras 2 reads, in its order.

    Args:
        optimizer: An optimizer that Keras 2 can say.
        paths: The paths of `optimizer.variables`, in their order.

    Returns:
        The paths without those of variables that Keras 2 has not; None where it has more.
    """
    if isinstance(optimizer, keras.optimizers.SGD) and not optimizer.momentum:
        return None  # Keras 2 keeps a momentum all the same.
    variables = zip(paths, optimizer.variables, strict=True)
    return [path for path, variable in variables if training.is_slot(optimizer, variable)]
