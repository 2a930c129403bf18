"""The models that are timed: one entry each in `WORKLOADS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EMOTION = Path(__file__).resolve().parents[2] / "examples" / "emotion" / "emotion_model.hdf5"


@dataclass(frozen=True)
class Workload:
    """A model to time.

    Attributes:
        name: Short name, for files and options.
        title: Name in the report.
        build: Makes the model.
        batches: Batch sizes.
        more_batches: Batch sizes that ``--all`` adds.
        trained: Whether it has weights of its own; otherwise it gets seeded random ones.
        always: Whether it is timed without ``--all``, too.
        precisions: What else than float32 kbridge computes it in.
        is_chain: Whether `benchmarks.inference.onnx_chain` writes its ONNX file.
    """

    name: str
    title: str
    build: Callable[[], Any]
    batches: tuple[int, ...] = (1, 4)
    more_batches: tuple[int, ...] = ()
    trained: bool = False
    always: bool = False
    precisions: tuple[str, ...] = ()
    is_chain: bool = False


def _emotion() -> Any:
    from kbridge.export.sources import open_source

    return open_source(_EMOTION).model


def _application(name: str, size: int = 224) -> Callable[[], Any]:
    def build() -> Any:
        import keras

        return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))

    return build


def _encoder() -> Any:
    """Four transformer encoder layers, 256 wide, 4 heads, over 128 positions."""
    import keras
    from keras import layers

    x = inputs = keras.Input((128, 256))
    for _ in range(4):
        attended = layers.MultiHeadAttention(4, 64)(x, x)
        x = layers.LayerNormalization()(layers.Add()([x, attended]))
        hidden = layers.Dense(256)(layers.Dense(1024, activation="gelu")(x))
        x = layers.LayerNormalization()(layers.Add()([x, hidden]))
    return keras.Model(inputs, x)


def _recurrent(name: str) -> Callable[[], Any]:
    def build() -> Any:
        import keras

        layer = getattr(keras.layers, name)
        x = inputs = keras.Input((100, 64))
        x = layer(128)(layer(128, return_sequences=True)(x))
        return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))

    return build


def _dense() -> Any:
    import keras
    from keras import layers

    x = inputs = keras.Input((64,))
    x = layers.Dense(128, activation="relu")(layers.Dense(128, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


WORKLOADS = (
    Workload("emotion", "Emotion model", _emotion, (1, 4), (32,), trained=True, always=True),
    Workload("mobilenet", "MobileNet", _application("MobileNet"), (1, 4), (16,), always=True),
    Workload(
        "resnet50",
        "ResNet-50",
        _application("ResNet50"),
        (1, 4),
        (16,),
        always=True,
        precisions=("bfloat16", "int8"),
    ),
    Workload("vgg16", "VGG16", _application("VGG16"), is_chain=True),
    Workload("inceptionv3", "Inception-v3", _application("InceptionV3", 299), (1, 4), (16,)),
    Workload("efficientnet", "EfficientNetV2B0", _application("EfficientNetV2B0"), (1, 4), (16,)),
    Workload("encoder", "Encoder", _encoder, (1, 8)),
    Workload("gru", "GRU", _recurrent("GRU"), (1, 32)),
    Workload("lstm", "LSTM", _recurrent("LSTM"), (1, 32)),
    Workload("dense", "Dense net", _dense, (1, 32)),
)
