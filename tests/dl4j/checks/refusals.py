"""What cannot be said, or not trained alike, is refused."""

from __future__ import annotations

from pathlib import Path

import jpype
import keras
from dl4j_table import ours

from checks.common import L, check, classifier, exported


@check
def everything_in_the_way_is_listed(folder: Path) -> None:
    x = keras.Input((4, 6), name="x")
    shared = L.Dense(6, name="shared")
    h = L.GRU(6, return_sequences=True, name="gru")(shared(shared(x)))
    h = L.LayerNormalization(name="norm")(h)
    h = L.Dense(6, activation="gelu", name="gelu")(h)
    model = keras.Model(x, h)
    try:
        ours(exported(model, folder))
    except jpype.JException as e:
        for name in ("'shared'", "'gru'", "'norm'", "'gelu'", "predict()"):
            assert name in str(e), e
    else:
        raise AssertionError("not refused")


@check
def what_cannot_be_trained_alike_is_refused(folder: Path) -> None:
    cases = {
        "momentum": {"optimizer": keras.optimizers.SGD(0.1, momentum=0.9)},
        "global_clipnorm": {"optimizer": keras.optimizers.SGD(0.1, global_clipnorm=1.0)},
        "Lion": {"optimizer": keras.optimizers.Lion()},
        "RMSprop": {"optimizer": keras.optimizers.RMSprop()},
        "Adamax": {"optimizer": keras.optimizers.Adamax()},
        "grows where Keras's falls": {
            "optimizer": keras.optimizers.SGD(
                keras.optimizers.schedules.PolynomialDecay(0.1, 10, end_learning_rate=0.0)
            )
        },
        "label smoothing": {"loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.1)},
        "kl_divergence": {"loss": "kl_divergence"},
    }
    for told, options in cases.items():
        model = classifier(**{"optimizer": "sgd", "loss": "categorical_crossentropy", **options})
        try:
            ours(exported(model, folder))
        except jpype.JException as e:
            assert told in str(e), e
        else:
            raise AssertionError(f"{told}: not refused")
