"""What networks have learnt goes back to the bundle and to Keras."""

from __future__ import annotations

from pathlib import Path

import jpype
import keras
import numpy as np
from dl4j_table import answers, ours

import kbridge
from checks.common import batches, check, classifier, compare_weights, exported, fit, java
from checks.training import OPTIMIZERS


@check
def weights_go_back_to_keras(folder: Path) -> None:
    model = classifier(optimizer=keras.optimizers.SGD(0.1), loss="categorical_crossentropy")
    bundle = exported(model, folder)
    network = ours(bundle)
    data = batches(4)
    for x, y in data:
        fit(network, x, y)
    path = java("java.nio.file.Paths").get(str(bundle))
    java("io.kbridge.KBridge").updateBundle(path, network)
    wanted = answers(network, [data[0][0]])[0]
    with kbridge.load(bundle) as loaded:
        np.testing.assert_allclose(
            loaded.predict_on_batch(data[0][0]), wanted, rtol=1e-5, atol=1e-6
        )
    back = kbridge.import_model(bundle)
    np.testing.assert_allclose(back(data[0][0]), wanted, rtol=1e-5, atol=1e-6)
    again = ours(bundle)
    np.testing.assert_allclose(answers(again, [data[0][0]])[0], wanted, rtol=1e-6, atol=1e-7)
    other = ours(exported(classifier(), folder, "other.h5"))
    other.getLayer("h").getParam("W").assign(float("nan"))
    before = bundle.read_bytes()
    for wrong, told in ((other, "h/kernel"), ("no network", "ComputationGraph")):
        try:
            java("io.kbridge.KBridge").updateBundle(path, wrong)
        except jpype.JException as e:
            assert told in str(e), e
        else:
            raise AssertionError(f"{told}: not refused")
    assert bundle.read_bytes() == before


# One for each updater that DL4J has in the place of a Keras optimizer, and a schedule.
WITH_STATE = ("sgd", "nesterov", "adam", "adamw", "adagrad", "exponential")


def back_to_keras(name: str, folder: Path, sequential: bool) -> None:
    """DL4J trains; Keras takes what it learnt and goes on as DL4J does."""
    model = classifier(optimizer=OPTIMIZERS[name](), loss="categorical_crossentropy")
    if sequential:
        model = keras.Sequential([keras.Input((6,)), *model.layers[1:]])
        model.compile(OPTIMIZERS[name](), "categorical_crossentropy")
    bundle = exported(model, folder, f"{name}.h5")
    path = java("java.nio.file.Paths").get(str(bundle))
    with java("io.kbridge.KBridge").load(path) as loaded:
        network = loaded.toMultiLayerNetwork() if sequential else loaded.toComputationGraph()
    data = batches(6)
    for x, y in data[:3]:
        fit(network, x, y)
    java("io.kbridge.KBridge").updateBundle(path, network)
    wanted = answers(network, [data[0][0]])[0]
    for twin in (model, kbridge.import_model(bundle)):
        kbridge.import_weights(twin, bundle)
        assert int(twin.optimizer.iterations) == 3
        np.testing.assert_allclose(twin(data[0][0]), wanted, rtol=1e-5, atol=1e-6)
    for x, y in data[3:]:
        model.train_on_batch(x, y)
        fit(network, x, y)
    compare_weights(model, network, bundle)


@check
def computation_graphs_go_back_to_keras(folder: Path) -> None:
    for name in WITH_STATE:
        back_to_keras(name, folder, sequential=False)


@check
def multi_layer_networks_go_back_to_keras(folder: Path) -> None:
    for name in WITH_STATE:
        back_to_keras(name, folder, sequential=True)


@check
def an_updater_of_another_kind_leaves_the_optimizer_as_it_was(folder: Path) -> None:
    model = classifier(optimizer=keras.optimizers.Adam(0.05), loss="categorical_crossentropy")
    for x, y in batches(2):
        model.train_on_batch(x, y)
    bundle = exported(model, folder)
    network = ours(bundle)
    file = java("java.io.File")(str(folder / "network.zip"))
    serializer = java("org.deeplearning4j.util.ModelSerializer")
    tune = java("org.deeplearning4j.nn.transferlearning.FineTuneConfiguration$Builder")()
    tune.updater(java("org.nd4j.linalg.learning.config.Sgd")(0.1))
    builder = java("org.deeplearning4j.nn.transferlearning.TransferLearning$GraphBuilder")(network)
    other = builder.fineTuneConfiguration(tune.build()).build()
    serializer.writeModel(network, file, False)
    without = serializer.restoreComputationGraph(file, False)
    path = java("java.nio.file.Paths").get(str(bundle))
    state = [v.numpy() for v in model.optimizer.variables]
    for one in (other, without):
        if one is other:
            fit(other, *batches(1)[0])
        java("io.kbridge.KBridge").updateBundle(path, one)
        twin = kbridge.import_model(bundle)
        wanted = answers(one, [batches(1)[0][0]])[0]
        np.testing.assert_allclose(twin(batches(1)[0][0]), wanted, rtol=1e-5, atol=1e-6)
        for found, before in zip(twin.optimizer.variables, state, strict=True):
            np.testing.assert_array_equal(found.numpy(), before)


@check
def a_changed_learning_rate_goes_back(folder: Path) -> None:
    model = classifier(optimizer=keras.optimizers.Adam(0.05), loss="categorical_crossentropy")
    bundle = exported(model, folder)
    network = ours(bundle)
    network.setLearningRate(0.01)
    fit(network, *batches(1)[0])
    java("io.kbridge.KBridge").updateBundle(java("java.nio.file.Paths").get(str(bundle)), network)
    kbridge.import_weights(model, bundle)
    assert float(model.optimizer.learning_rate) == np.float32(0.01)
    for x, y in batches(3):
        model.train_on_batch(x, y)
        fit(network, x, y)
    compare_weights(model, network, bundle)
