"""The training document says everything that compile() was given."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers as L
from keras import losses, metrics, optimizers

from tests.export.models import compiled, described, small, stepped


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
