"""The training document says everything that compile() was given, and where each slot belongs."""

from __future__ import annotations

import inspect
import json

import keras
import numpy as np
import pytest
from keras import constraints, initializers, losses, metrics, optimizers, regularizers
from keras import layers as L
from keras.optimizers import schedules

from kbridge.export import jsonable, metadata, training


def small(**kwargs):
    return keras.Sequential(
        [keras.Input((4,)), L.Dense(3, name="a"), L.Dense(3, name="b")], **kwargs
    )


def described(model):
    document, variables = training.training_metadata(model, metadata.weight_names(model))
    return json.loads(json.dumps(document, allow_nan=False)), variables


def compiled(**arguments):
    model = small(name="root")
    model.compile(**({"optimizer": "sgd", "loss": "mse"} | arguments))
    return described(model)[0]


def stepped(optimizer, model=None):
    model = model or small(name="root")
    model.compile(optimizer, "mse")
    model.fit(np.ones((4, 4), "float32"), np.ones((4, 3), "float32"), batch_size=2, verbose=0)
    return model


SCHEDULES = {
    "CosineDecay": lambda: schedules.CosineDecay(0.1, 9, 0.2, warmup_target=0.3, warmup_steps=4),
    "CosineDecayRestarts": lambda: schedules.CosineDecayRestarts(0.1, 9, 1.5, 0.9, 0.1),
    "ExponentialDecay": lambda: schedules.ExponentialDecay(0.1, 3, 0.9, staircase=True),
    "InverseTimeDecay": lambda: schedules.InverseTimeDecay(0.1, 3, 0.9, staircase=True),
    "PiecewiseConstantDecay": lambda: schedules.PiecewiseConstantDecay([1, 3], [0.3, 0.2, 0.1]),
    "PolynomialDecay": lambda: schedules.PolynomialDecay(0.1, 9, 0.01, 2.0, cycle=True),
}

# Each optimizer with arguments that are not its defaults, and the slots each weight then has.
OPTIMIZERS = {
    "Adadelta": ({"rho": 0.9, "epsilon": 1e-5}, ["accumulated_grad", "accumulated_delta_var"]),
    "Adafactor": ({"beta_2_decay": -0.7, "relative_step": False}, ["r", "c", "velocity"]),
    "Adagrad": ({"initial_accumulator_value": 0.3}, ["accumulator"]),
    "Adam": ({"beta_1": 0.8, "amsgrad": True}, ["momentum", "velocity", "velocity_hat"]),
    "AdamW": ({"weight_decay": 0.02, "use_ema": True}, ["average", "momentum", "velocity"]),
    "Adamax": ({"beta_2": 0.9, "clipnorm": 0.5}, ["momentum", "norm"]),
    "Ftrl": ({"l1_regularization_strength": 0.1, "beta": 0.2}, ["accumulator", "linear"]),
    "Lamb": ({"beta_1": 0.7, "global_clipnorm": 2.0}, ["momentum", "velocity"]),
    "Lion": ({"beta_2": 0.8, "clipvalue": 0.3}, ["momentum"]),
    "Muon": ({"ns_steps": 3, "nesterov": False}, ["momentum"]),
    "Nadam": ({"beta_1": 0.8, "loss_scale_factor": 4.0}, ["momentum", "velocity"]),
    "RMSprop": ({"momentum": 0.2, "centered": True}, ["velocity", "momentum", "average_gradient"]),
    "SGD": ({"momentum": 0.3, "nesterov": True}, ["momentum"]),
    "ScheduleFreeAdamW": ({"beta_1": 0.8, "warmup_steps": 2}, ["momentum", "velocity"]),
}


def public(module, base, but=()):
    """The names under which a Keras module has the classes of a kind, without aliases."""
    classes = {c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, base)}
    return {c.__name__ for c in classes} - {base.__name__, *but}


def test_every_optimizer_and_schedule_is_covered():
    wrappers = ("LossScaleOptimizer", "MultiOptimizer", "TFOptimizer", "BaseOptimizer")
    assert public(optimizers, optimizers.Optimizer, wrappers) == set(OPTIMIZERS)
    assert public(schedules, schedules.LearningRateSchedule) == set(SCHEDULES)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    arguments, slots = OPTIMIZERS[name]
    model = stepped(getattr(optimizers, name)(learning_rate=0.25, **arguments))
    document, variables = described(model)
    found = document["optimizer"]
    for key, value in arguments.items():
        assert found["config"][key] == value
    # NB: not optimizers.deserialize(), which does not know Lamb; the same for a loss below.
    kept = ("module", "class_name", "config", "registered_name")
    rebuilt = keras.saving.deserialize_keras_object({k: found[k] for k in kept})
    assert rebuilt.get_config() == model.optimizer.get_config()
    assert [v for _, v in variables] == list(model.optimizer.variables)
    assert [path for path, _ in variables] == [entry["path"] for entry in found["variables"]]
    for entry, (_, variable) in zip(found["variables"], variables, strict=True):
        assert entry["shape"] == list(variable.shape)
    by_weight = {}
    for entry in found["variables"]:
        by_weight.setdefault(entry["weight"], []).append(entry["slot"])
    own = ["iteration", "learning_rate"] + ["u_product"] * (name == "Nadam")
    assert by_weight.pop(None) == own
    assert set(by_weight) == {"a/kernel", "a/bias", "b/kernel", "b/bias"}
    if name == "Muon":  # It trains biases by Adam.
        assert by_weight.pop("a/bias") == by_weight.pop("b/bias") == ["momentum", "velocity"]
    for held in by_weight.values():
        assert sorted(held) == sorted(slots)
    assert found["learning_rate"] == 0.25
    assert found["iterations"] == 2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_slots_hold_what_they_are_called(name):
    """The slot named for a weight has its shape, and is the live optimizer's variable for it."""
    model = stepped(getattr(optimizers, name)(**OPTIMIZERS[name][0]))
    weights = metadata.weights_metadata(model)
    for entry, (_, variable) in zip(*slots_of(model), strict=True):
        if entry["weight"] is not None and entry["slot"] not in ("r", "c"):
            assert list(variable.shape) == weights[entry["weight"]]["shape"]
            assert entry["weight"].replace("/", "_") in variable.name


def slots_of(model):
    document, variables = described(model)
    return document["optimizer"]["variables"], variables


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    schedule = SCHEDULES[name]()
    model = stepped(optimizers.SGD(schedule))
    found = described(model)[0]["optimizer"]
    rate = found["config"]["learning_rate"]
    assert rate["class_name"] == name
    assert schedules.deserialize(rate).get_config() == schedule.get_config()
    expected = float(schedule(model.optimizer.iterations))
    assert found["learning_rate"] == pytest.approx(expected, rel=0, abs=0)
    assert [entry["slot"] for entry in found["variables"]] == ["iteration"]


def test_gradient_accumulation_and_averages():
    model = stepped(optimizers.SGD(0.1, gradient_accumulation_steps=2, use_ema=True))
    document = described(model)[0]
    slots = [e["slot"] for e in document["optimizer"]["variables"] if e["weight"] == "a/kernel"]
    assert sorted(slots) == ["average", "gradient_accumulator"]
    assert document["optimizer"]["iterations"] == 1  # Two batches make one step.


def test_weight_decay_exclusions():
    by_name = optimizers.AdamW()
    by_name.exclude_from_weight_decay(var_names=["bias", "norm"])
    found = described(stepped(by_name))[0]["optimizer"]["exclude_from_weight_decay"]
    assert found["weights"] == ["a/bias", "b/bias"]
    assert sorted(found["pattern"].split("|")) == ["bias", "norm"]
    model = small()
    by_variable = optimizers.AdamW()
    by_variable.exclude_from_weight_decay([model.layers[1].kernel])
    model.compile(by_variable, "mse")
    expected = {"pattern": None, "weights": ["b/kernel"]}
    assert described(model)[0]["optimizer"]["exclude_from_weight_decay"] == expected
    stepped(by_variable, model)
    assert described(model)[0]["optimizer"]["exclude_from_weight_decay"] == expected
    assert described(stepped(optimizers.AdamW()))[0]["optimizer"]["exclude_from_weight_decay"] == {
        "pattern": None,
        "weights": [],
    }


def test_loss_scaling():
    inner = optimizers.Adam(0.125)
    model = stepped(optimizers.LossScaleOptimizer(inner, initial_scale=64.0))
    document, variables = described(model)
    found = document["optimizer"]
    assert found["class_name"] == "LossScaleOptimizer"
    assert found["config"]["initial_scale"] == 64.0
    own = [entry["slot"] for entry in found["variables"]]
    assert own == ["iteration", "learning_rate", "step_counter", "dynamic_scale"]
    adam = found["inner"]["inner_optimizer"]
    assert adam["class_name"] == "Adam"
    assert found["learning_rate"] == adam["learning_rate"] == 0.125
    assert found["iterations"] == adam["iterations"] == 2
    paths = [e["path"] for e in found["variables"] + adam["variables"]]
    assert paths == [path for path, _ in variables]
    assert len(set(paths)) == len(paths) == len(model.optimizer.variables)


def test_mixed_precision_wraps_the_optimizer_unless_told_not_to():
    with_scale, without = small(), small()
    for model in (with_scale, without):
        model.dtype_policy = "mixed_float16"
    with_scale.compile("adam", "mse")
    without.compile("adam", "mse", auto_scale_loss=False)
    assert described(with_scale)[0]["auto_scale_loss"] is True
    assert described(with_scale)[0]["optimizer"]["class_name"] == "LossScaleOptimizer"
    assert described(without)[0]["auto_scale_loss"] is False
    assert described(without)[0]["optimizer"]["class_name"] == "Adam"


def test_several_optimizers():
    chosen = optimizers.OptimizerMap(optimizers.SGD(0.5), {".*bias": optimizers.Adam(0.25)})
    model = stepped(optimizers.MultiOptimizer(chosen))
    document, variables = described(model)
    found = document["optimizer"]
    assert found["learning_rate"] is None
    assert {o["class_name"]: o["learning_rate"] for o in found["inner"].values()} == {
        "Adam": 0.25,
        "SGD": 0.5,
    }
    adam = next(o for o in found["inner"].values() if o["class_name"] == "Adam")
    assert adam["weights"] == ["a/bias", "b/bias"]
    assert {e["weight"] for e in adam["variables"]} == {None, "a/bias", "b/bias"}
    every = [e["path"] for e in found["variables"]]
    every += [e["path"] for o in found["inner"].values() for e in o["variables"]]
    assert sorted(every) == sorted(path for path, _ in variables)


def test_a_learning_rate_function_is_named():
    found = compiled(optimizer=optimizers.SGD(own_rate))["optimizer"]
    assert found["config"]["learning_rate"] == {"custom": f"{__name__}.own_rate"}
    assert found["learning_rate"] == pytest.approx(0.0625)


def own_rate():
    return 0.0625


def test_an_optimizer_that_has_not_stepped():
    found = compiled(optimizer=optimizers.Adam(0.5))["optimizer"]
    assert found["built"] is False
    assert found["weights"] == []
    assert [e["slot"] for e in found["variables"]] == ["iteration", "learning_rate"]


# Losses, metrics and what weights are given ------------------------------------------------------

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


def test_losses_as_strings_stay_strings():
    assert compiled(loss="categorical_crossentropy")["loss"] == "categorical_crossentropy"
    assert compiled(loss=None)["loss"] is None


def two_outputs():
    inputs = keras.Input((4,))
    return keras.Model(
        inputs, {"x": L.Dense(2, name="x")(inputs), "y": L.Dense(1, name="y")(inputs)}
    )


def test_structures_are_kept():
    model = two_outputs()
    model.compile(
        optimizers.SGD(),
        loss={"x": losses.Huber(0.5), "y": None},
        loss_weights={"x": 0.25, "y": 2},
        metrics={"x": ["mae", metrics.AUC(num_thresholds=20)]},
        weighted_metrics={"y": "mse"},
        run_eagerly=True,
        steps_per_execution=3,
        jit_compile=False,
    )
    document = described(model)[0]
    assert document["compiled"] is True
    assert document["loss"]["x"]["config"]["delta"] == 0.5
    assert document["loss"]["y"] is None
    assert document["loss_weights"] == {"x": 0.25, "y": 2}
    assert document["metrics"]["x"][0] == "mae"
    assert document["metrics"]["x"][1]["config"]["num_thresholds"] == 20
    assert document["weighted_metrics"] == {"y": "mse"}
    assert (document["run_eagerly"], document["steps_per_execution"]) == (True, 3)
    assert document["jit_compile"] is False
    assert document["output_names"] == ["x", "y"]


def test_lists_and_tuples():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [L.Dense(2)(inputs), L.Dense(1)(inputs)])
    model.compile(
        "sgd", loss=["mse", losses.LogCosh()], loss_weights=(1, 0.5), metrics=[["mae"], []]
    )
    document = described(model)[0]
    assert document["loss"][0] == "mse"
    assert document["loss"][1]["class_name"] == "LogCosh"
    assert document["loss_weights"] == [1, 0.5]
    assert document["metrics"] == [["mae"], []]


def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred))


@keras.saving.register_keras_serializable("test_training")
def registered_loss(y_true, y_pred):
    return own_loss(y_true, y_pred)


@keras.saving.register_keras_serializable("test_training")
class OwnLoss(losses.Loss):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * own_loss(y_true, y_pred)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Unsayable:
    def __call__(self, y_true, y_pred):
        return own_loss(y_true, y_pred)


def test_own_losses_are_named_and_never_dropped():
    assert compiled(loss=own_loss)["loss"] == {"custom": f"{__name__}.own_loss"}
    assert compiled(loss=registered_loss)["loss"] == {"custom": "test_training>registered_loss"}
    found = compiled(loss=OwnLoss(0.5))["loss"]
    assert found["registered_name"] == "test_training>OwnLoss"
    assert found["config"]["factor"] == 0.5
    assert losses.deserialize(found).factor == 0.5
    nameless = compiled(loss=lambda y, p: own_loss(y, p))["loss"]
    assert set(nameless) == {"custom"}
    assert nameless["custom"].endswith("<lambda>")
    unsaid = compiled(loss=Unsayable())["loss"]
    assert unsaid["custom"] == f"{__name__}.Unsayable"
    assert "get_config" in unsaid["reason"]


def test_a_model_that_was_never_compiled():
    assert described(small()) == ({"compiled": False}, [])


def test_saving_as_legacy_hdf5_loses_nothing(tmp_path):
    """Keras then removes the optimizer from its own record of compile()."""
    model = stepped(optimizers.Adam(0.5))
    before = described(model)[0]
    model.save(tmp_path / "m.h5")
    assert described(model)[0] == before
    assert before["optimizer"]["class_name"] == "Adam"


class OwnCompile(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3, name="dense")

    def call(self, x):
        return self.dense(x)

    def compile(self, temperature, **kwargs):
        super().compile(**kwargs)
        self.temperature = temperature

    def get_compile_config(self):
        return {"temperature": self.temperature}


def test_a_class_with_its_own_compile():
    model = OwnCompile()
    model(np.zeros((1, 4), "float32"))
    model.compile(2.5, optimizer="sgd", loss="mse")
    document = described(model)[0]
    assert document["loss"] == "mse"
    assert document["custom_compile"]["config"] == {"temperature": 2.5}
    assert "OwnCompile" in document["custom_compile"]["class_name"]


def test_nothing_is_changed_and_nothing_is_copied():
    model = stepped(optimizers.AdamW())
    before = [v.numpy() for v in model.optimizer.variables]
    held = set(vars(model.optimizer))
    _, variables = described(model)
    assert all(a is b for (_, a), b in zip(variables, model.optimizer.variables, strict=True))
    for variable, value in zip(model.optimizer.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert set(vars(model.optimizer)) == held
