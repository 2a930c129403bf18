"""Every optimizer of Keras, with everything that all of them can do, against Keras itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from keras import optimizers
from keras.optimizers import schedules

from kbridge import errors
from kbridge.jvm import host
from tests.optimizers import harness

STEPS = 6
CONTINUED_FROM = 3
TOLERANCE = 2e-5

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": lambda **kw: optimizers.SGD(0.05, **kw),
    "SGD momentum": lambda **kw: optimizers.SGD(0.05, momentum=0.9, **kw),
    "SGD nesterov": lambda **kw: optimizers.SGD(0.05, momentum=0.8, nesterov=True, **kw),
    "RMSprop": lambda **kw: optimizers.RMSprop(0.01, **kw),
    "RMSprop centered": lambda **kw: optimizers.RMSprop(
        0.01, rho=0.8, momentum=0.7, centered=True, **kw
    ),
    "Adam": lambda **kw: optimizers.Adam(0.01, **kw),
    "Adam amsgrad": lambda **kw: optimizers.Adam(0.01, beta_2=0.7, amsgrad=True, **kw),
    "AdamW": lambda **kw: optimizers.AdamW(0.01, **{"weight_decay": 0.1, **kw}),
    "Adadelta": lambda **kw: optimizers.Adadelta(0.5, **kw),
    "Adagrad": lambda **kw: optimizers.Adagrad(0.1, **kw),
    "Adamax": lambda **kw: optimizers.Adamax(0.01, **kw),
    "Adafactor": lambda **kw: optimizers.Adafactor(0.05, **kw),
    "Nadam": lambda **kw: optimizers.Nadam(0.01, **kw),
    "Ftrl": lambda **kw: optimizers.Ftrl(0.1, **kw),
    "Ftrl regularized": lambda **kw: optimizers.Ftrl(
        0.1,
        learning_rate_power=-0.7,
        l1_regularization_strength=0.05,
        l2_regularization_strength=0.1,
        l2_shrinkage_regularization_strength=0.2,
        beta=0.3,
        **kw,
    ),
    "Lion": lambda **kw: optimizers.Lion(0.01, **kw),
    "Lamb": lambda **kw: optimizers.Lamb(0.01, **kw),
    "Muon": lambda **kw: optimizers.Muon(0.02, adam_lr_ratio=0.5, **kw),
    "Muon plain": lambda **kw: optimizers.Muon(
        0.02, nesterov=False, rms_rate=None, exclude_layers=["tall"], exclude_embeddings=False, **kw
    ),
    "ScheduleFreeAdamW": lambda **kw: optimizers.ScheduleFreeAdamW(0.01, **kw),
    "ScheduleFreeAdamW warmup": lambda **kw: optimizers.ScheduleFreeAdamW(
        0.01, warmup_steps=4, **kw
    ),
}

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.5},
    "global_clipnorm": {"global_clipnorm": 0.7},
    "clipvalue": {"clipvalue": 0.2},
    "decayed": {"weight_decay": 0.05},
    "ema": {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 2},
    "accumulated": {"gradient_accumulation_steps": 2},
    "all": {
        "clipnorm": 2.0,
        "weight_decay": 0.02,
        "use_ema": True,
        "ema_momentum": 0.8,
        "ema_overwrite_frequency": 2,
        "gradient_accumulation_steps": 2,
        "loss_scale_factor": 8.0,
    },
}

SCHEDULES: dict[str, Callable[[], Any]] = {
    "ExponentialDecay": lambda: schedules.ExponentialDecay(0.05, 4, 0.7),
    "ExponentialDecay staircase": lambda: schedules.ExponentialDecay(0.05, 3, 0.7, staircase=True),
    "PiecewiseConstantDecay": lambda: schedules.PiecewiseConstantDecay([2, 4.7], [0.1, 0.05, 0.01]),
    "PolynomialDecay": lambda: schedules.PolynomialDecay(0.05, 4, 0.01, power=1.5),
    "PolynomialDecay cycle": lambda: schedules.PolynomialDecay(0.05, 3, power=0.5, cycle=True),
    "InverseTimeDecay": lambda: schedules.InverseTimeDecay(0.05, 2, 0.5),
    "InverseTimeDecay staircase": lambda: schedules.InverseTimeDecay(0.05, 2, 0.5, staircase=True),
    "CosineDecay": lambda: schedules.CosineDecay(0.05, 5, alpha=0.1),
    "CosineDecay warmup": lambda: schedules.CosineDecay(
        0.0, 5, alpha=0.1, warmup_target=0.1, warmup_steps=3
    ),
    "CosineDecayRestarts": lambda: schedules.CosineDecayRestarts(0.05, 2, m_mul=0.8, alpha=0.1),
    "CosineDecayRestarts even": lambda: schedules.CosineDecayRestarts(0.05, 3, t_mul=1.0),
}


def follow(optimizer: Any, folder: Any, steps: int = STEPS) -> float:
    """Compares each step from a new optimizer, and a few more that continue Keras's state."""
    model = harness.model_with(optimizer)
    fresh = harness.JvmOptimizer(harness.write(model, folder / "new.h5"))
    # NB: Ftrl subtracts powers of nearly equal numbers. TensorFlow's eager `pow` is up to 1.3 units
    # in the last place off, its compiled one, which `fit` uses, is not.
    keras_step = harness.keras_step(model, graph=isinstance(optimizer, optimizers.Ftrl))
    continued = None
    worst = 0.0
    for step in range(steps):
        if step == CONTINUED_FROM:
            continued = harness.JvmOptimizer(harness.write(model, folder / "used.h5"))
        given = harness.gradients(step)
        keras_step(given)
        for name, jvm in (("new", fresh), ("continued", continued)):
            if jvm is not None:
                jvm.step(given)
                where = f"step {step + 1}, {name}"
                worst = max(worst, harness.compare(model, jvm, where, TOLERANCE))
    assert continued.java.iterations() == int(model.optimizer.iterations)
    assert continued.java.learningRate() == pytest.approx(float(model.optimizer.learning_rate))
    return worst


def combinations() -> Iterator[Any]:
    """Yields every optimizer with every variant.

    NB: what all optimizers share is one piece of code; that each works with each of it alone is
    left to the slow tests, except for three of them.
    """
    for name, variant in itertools.product(OPTIMIZERS, VARIANTS):
        always = variant in ("plain", "all") or name in ("SGD momentum", "Adam", "Muon")
        yield pytest.param(
            name, variant, id=f"{name}-{variant}", marks=[] if always else pytest.mark.slow
        )


@pytest.mark.parametrize(("name", "variant"), list(combinations()))
def test_step_by_step(jvm, tmp_path, name, variant):
    options = dict(VARIANTS[variant])
    if name.startswith("Ftrl"):
        # NB: of gradients that are small beside its accumulator, Ftrl keeps the difference of two
        # roots that agree in all but a few digits: what is left is rounding, in Keras from run to
        # run. So they are clipped less.
        options = {key: 40 * value if "norm" in key else value for key, value in options.items()}
    optimizer = OPTIMIZERS[name](**options)
    if "decay" in str(options):
        optimizer.exclude_from_weight_decay(var_names=["bias", "tall"])
    follow(optimizer, tmp_path)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(jvm, tmp_path, name):
    follow(optimizers.SGD(SCHEDULES[name](), momentum=0.5, weight_decay=0.1), tmp_path, steps=8)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_scheduled(jvm, tmp_path, name):
    """Every optimizer takes its rate from a schedule, which counts accumulated steps too."""
    optimizer = OPTIMIZERS[name](gradient_accumulation_steps=2)
    optimizer.learning_rate = schedules.CosineDecay(0.02, 5, alpha=0.1)
    follow(optimizer, tmp_path)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        *((name, "plain") for name in OPTIMIZERS),
        *itertools.product(
            ("SGD", "Adam", "Adamax", "Adafactor"),
            ("clipnorm", "global_clipnorm", "clipvalue", "accumulated"),
        ),
    ],
)
def test_gradients_in_rows(jvm, tmp_path, name, variant):
    """A row that was read twice counts with two squares, as in Keras with TensorFlow."""
    model = harness.model_with(OPTIMIZERS[name](**VARIANTS[variant]))
    jvm_optimizer = harness.JvmOptimizer(harness.write(model, tmp_path / "m.h5"))
    step = harness.keras_step(model, graph=name.startswith("Ftrl"))
    rng = np.random.default_rng(5)
    for i in range(4):
        given = harness.gradients(i)
        for weight, width, count in (("embedding", 4, 9), ("large", 401, 40)):
            indices = rng.integers(0, harness.SHAPES[weight][0], count)
            indices[-1] = indices[0]  # NB: Keras sums up equal rows in some places only.
            values = rng.normal(0, 0.3, (count, width)).astype("float32")
            given[weight] = harness.Slices(values, indices)
        step(given)
        jvm_optimizer.step(given)
        harness.compare(model, jvm_optimizer, f"step {i}", TOLERANCE)


def test_weights_without_gradients_stay(jvm, tmp_path):
    model = harness.model_with(optimizers.Adam(0.1, weight_decay=0.1, use_ema=True))
    jvm_optimizer = harness.JvmOptimizer(harness.write(model, tmp_path / "m.h5"))
    step = harness.keras_step(model, graph=False)
    for i in range(3):
        given = harness.gradients(i, missing=["kernel", "large"])
        step(given)
        jvm_optimizer.step(given)
        harness.compare(model, jvm_optimizer, f"step {i}", TOLERANCE)


def test_loss_scaling(jvm, tmp_path):
    """Steps that overflow are left out; the scale falls at once and rises after some good ones."""
    inner = optimizers.Adam(0.02, clipnorm=1.0, use_ema=True)
    model = harness.model_with(optimizers.LossScaleOptimizer(inner, 64.0, dynamic_growth_steps=2))
    new = harness.JvmOptimizer(harness.write(model, tmp_path / "new.h5"))
    step = harness.keras_step(model, graph=False)
    used = None
    applied = []
    for i in range(7):
        scale = float(model.optimizer.dynamic_scale)
        assert new.java.lossScale() == scale
        given = {name: g * np.float32(scale) for name, g in harness.gradients(i).items()}
        if i in (2, 5):
            given["large"][7, 9] = np.inf if i == 2 else np.nan
        if i == 4:
            used = harness.JvmOptimizer(harness.write(model, tmp_path / "used.h5"))
        step(given)
        applied.append(new.step(given))
        harness.compare(model, new, f"step {i}, new", TOLERANCE)
        if used is not None:
            used.step(given)
            harness.compare(model, used, f"step {i}, continued", TOLERANCE)
    assert applied == [True, True, False, True, True, False, True]


def several() -> optimizers.Optimizer:
    chosen = optimizers.MultiOptimizer
    table = chosen.__init__.__globals__["OptimizerMap"](optimizers.SGD(0.1, momentum=0.5))
    table[".*/(kernel|large)"] = optimizers.Adam(0.01)
    table[".*/embedding"] = optimizers.Muon(0.01)
    return chosen(table, loss_scale_factor=4.0)


def test_several_optimizers(jvm, tmp_path):
    model = harness.model_with(several())
    new = harness.JvmOptimizer(harness.write(model, tmp_path / "new.h5"))
    step = harness.keras_step(model, graph=False)
    assert new.java.lossScale() == 4.0
    for i in range(4):
        if i == 2:
            used = harness.JvmOptimizer(harness.write(model, tmp_path / "used.h5"))
        given = harness.gradients(i)
        step(given)
        for jvm_optimizer in [new] if i < 2 else [new, used]:
            jvm_optimizer.step(given)
            harness.compare(model, jvm_optimizer, f"step {i}", TOLERANCE)


def test_the_end_of_training(jvm, tmp_path):
    model = harness.model_with(optimizers.SGD(0.1, use_ema=True))
    jvm_optimizer = harness.JvmOptimizer(harness.write(model, tmp_path / "m.h5"))
    step = harness.keras_step(model, graph=False)
    for i in range(3):
        step(harness.gradients(i))
        jvm_optimizer.step(harness.gradients(i))
    model.optimizer.finalize_variable_values(model.trainable_variables)
    jvm_optimizer.java.finish()
    harness.compare(model, jvm_optimizer, "finished", TOLERANCE)


def test_the_rate_can_be_changed(jvm, tmp_path):
    model = harness.model_with(optimizers.RMSprop(0.1))
    jvm_optimizer = harness.JvmOptimizer(harness.write(model, tmp_path / "m.h5"))
    step = harness.keras_step(model, graph=False)
    for i, rate in enumerate((0.1, 0.01)):
        model.optimizer.learning_rate = rate
        jvm_optimizer.java.setLearningRate(rate)
        step(harness.gradients(i))
        jvm_optimizer.step(harness.gradients(i))
        harness.compare(model, jvm_optimizer, f"rate {rate}", TOLERANCE)


class Unknown(optimizers.SGD):
    """An optimizer that no runtime knows."""


class MoreToSay(optimizers.SGD):
    """An optimizer with a key of its own in its config."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "warp": 9}


class OwnSchedule(schedules.LearningRateSchedule):
    """A schedule that no runtime knows."""

    def __call__(self, step: Any) -> Any:
        return 0.1

    def get_config(self) -> dict[str, Any]:
        return {}


MoreToSay.__name__ = "SGD"


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (lambda: Unknown(0.1), "Unknown"),
        (lambda: MoreToSay(0.1), "warp"),
        (lambda: optimizers.SGD(OwnSchedule()), "OwnSchedule"),
        (lambda: optimizers.SGD(lambda: 0.1), "a function that the bundle cannot hold"),
    ],
)
def test_what_is_not_known_is_refused_by_name(jvm, tmp_path, optimizer, message):
    path = harness.write(harness.model_with(optimizer()), tmp_path / "m.h5")
    assert message in refusal(lambda: harness.JvmOptimizer(path), errors.UnsupportedOpError)


def test_bad_gradients_change_nothing(jvm, tmp_path):
    model = harness.model_with(optimizers.Adam())
    jvm_optimizer = harness.JvmOptimizer(harness.write(model, tmp_path / "m.h5"))
    gradients = host.java_class("java.util.HashMap")()
    message = refusal(lambda: jvm_optimizer.java.apply(gradients, None), errors.InvalidInputError)
    assert "depends on no weight that is trained" in message
    gradients.put("w/bias", jvm_optimizer.weights.get("w/bias"))
    gradients.put("w/kernel", jvm_optimizer.weights.get("w/bias"))
    message = refusal(lambda: jvm_optimizer.java.apply(gradients, None), errors.InvalidInputError)
    assert "'w/kernel' of shape [3, 4], received FLOAT[5]" in message
    model.optimizer.build(model.trainable_variables)
    harness.compare(model, jvm_optimizer, "refused", 0.0)
    assert jvm_optimizer.java.iterations() == 0


def refusal(action: Callable[[], Any], kind: type[errors.KBridgeError]) -> str:
    """Returns the message of the error that an action has to end with."""
    import jpype

    with pytest.raises(jpype.JException) as caught:
        action()
    error = host.java_error(caught.value)
    assert isinstance(error, kind), error
    return str(error)
