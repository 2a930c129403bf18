"""The training document says everything of the optimizer, and where each slot belongs."""

from __future__ import annotations

import inspect

import keras
import pytest
from keras import optimizers
from keras.optimizers import schedules

from kbridge.export import metadata
from tests.export.models import compiled, described, small, stepped

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
