"""What Deeplearning4j's own code does with networks."""

from __future__ import annotations

from pathlib import Path

import jpype
import keras
import numpy as np
from dl4j_table import answers, ours, to_nd4j, to_numpy

from checks.common import batches, check, classifier, exported, fit, java


@check
def dl4j_code_works_on_it(folder: Path) -> None:
    model = classifier(
        optimizer=keras.optimizers.Adam(0.05), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    network = ours(exported(model, folder))
    data = batches(1, size=60)[0]
    dataset = java("org.nd4j.linalg.dataset.DataSet")(to_nd4j(data[0]), to_nd4j(data[1]))
    iterator = java("org.deeplearning4j.datasets.iterator.utilty.ListDataSetIterator")(
        dataset.asList(), 10
    )
    evaluation = network.evaluate(iterator)
    wanted = model.evaluate(*data, verbose=0, return_dict=True)["accuracy"]
    assert abs(float(evaluation.accuracy()) - wanted) < 1e-6
    scores = java("org.deeplearning4j.optimize.listeners.CollectScoresIterationListener")()
    network.setListeners(scores)
    before = float(network.score(dataset))
    network.fit(iterator, 20)
    assert float(network.score(dataset)) < 0.8 * before
    assert len(scores.getScoreVsIter().getEffectiveScores()) == 120
    file = java("java.io.File")(str(folder / "network.zip"))
    serializer = java("org.deeplearning4j.util.ModelSerializer")
    serializer.writeModel(network, file, True)
    again = serializer.restoreComputationGraph(file, True)
    np.testing.assert_array_equal(answers(again, [data[0]])[0], answers(network, [data[0]])[0])
    fit(again, *data)
    fit(network, *data)
    np.testing.assert_array_equal(answers(again, [data[0]])[0], answers(network, [data[0]])[0])


@check
def transfer_learning(folder: Path) -> None:
    model = classifier(optimizer=keras.optimizers.Adam(0.05), loss="categorical_crossentropy")
    network = ours(exported(model, folder))
    builder = java("org.deeplearning4j.nn.transferlearning.TransferLearning$GraphBuilder")(network)
    tune = java("org.deeplearning4j.nn.transferlearning.FineTuneConfiguration$Builder")()
    tune.updater(java("org.nd4j.linalg.learning.config.Sgd")(0.1))
    loss = java("org.nd4j.linalg.lossfunctions.impl.LossMCXENT")()
    head = java("org.deeplearning4j.nn.conf.layers.OutputLayer$Builder")(loss)
    softmax = java("org.nd4j.linalg.activations.Activation").SOFTMAX
    head = head.nIn(8).nOut(2).activation(softmax).build()
    names = jpype.JArray(jpype.JString)
    other = (
        builder.fineTuneConfiguration(tune.build())
        .setFeatureExtractor(names(["h"]))
        .removeVertexAndConnections("y")
        .addLayer("z", head, names(["h"]))
        .setOutputs(names(["z"]))
        .build()
    )
    x, y = batches(1, classes=2)[0]
    for _ in range(30):
        fit(other, x, y)
    kernel = to_numpy(other.getLayer("h").getParam("W"))
    np.testing.assert_array_equal(kernel, model.get_layer("h").kernel.numpy())
    assert answers(other, [x])[0].shape == (8, 2)
    assert float(other.score()) < 0.6
