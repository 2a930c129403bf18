"""What runs a model: one class per library, as a Python program uses it. NumPy in, NumPy out."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import numpy as np

ENGINES: dict[str, type[Engine]] = {}


def engine(name: str) -> Callable[[type[Engine]], type[Engine]]:
    """Registers a class under the name by which `benchmarks.worker` is told to use it."""

    def register(cls: type[Engine]) -> type[Engine]:
        if name in ENGINES:
            raise ValueError(f"Expected each engine once. Received: {name!r} twice.")
        ENGINES[name] = cls
        return cls

    return register


class Engine:
    """Runs a model of one input and one output; libraries are imported in `prepare`."""

    def __init__(self, variant: str):
        self.variant = variant

    def prepare(self, threads: int) -> None:
        """Imports and sets up the library."""
        raise NotImplementedError

    def load(self, path: str) -> None:
        """Loads a model file."""
        raise NotImplementedError

    def input(self, x: np.ndarray) -> None:
        """Sets the input of the calls that follow."""
        self.x = x

    def labels(self, y: np.ndarray) -> None:
        """Sets the labels of the training steps that follow."""
        raise NotImplementedError

    def call(self) -> np.ndarray:
        """Runs the model once, or does a training step: this is what is timed."""
        raise NotImplementedError

    def version(self) -> str:
        """Returns name and version of the library."""
        raise NotImplementedError


@engine("kbridge")
class KBridge(Engine):
    """kbridge from Python; the variant is its engine, and a precision other than float32."""

    def prepare(self, threads: int) -> None:
        import kbridge
        from kbridge.jvm import host

        self.threads = threads
        self.load_bundle = kbridge.load
        self.name = f"kbridge {kbridge.__version__}"
        # The other engines have their libraries loaded before the clock starts, too.
        host.start()

    def load(self, path: str) -> None:
        engine, _, precision = self.variant.partition(" ")
        self.options = {"engine": engine, "threads": self.threads}
        self.uncalibrated = path if precision == "int8" else None
        if self.uncalibrated is None:
            self.model = self.load_bundle(path, precision=precision or "float32", **self.options)

    def input(self, x: np.ndarray) -> None:
        super().input(x)
        if self.uncalibrated is not None:
            self.model = self.load_bundle(
                self.uncalibrated, precision="int8", calibration=x, **self.options
            )

    def call(self) -> np.ndarray:
        return self.model.predict_on_batch(self.x)

    def version(self) -> str:
        return self.name


@engine("kbridge-process")
class KBridgeProcess(KBridge):
    """The same with the JVM in a process of its own."""

    def prepare(self, threads: int) -> None:
        import kbridge

        self.threads = threads
        self.load_bundle = functools.partial(kbridge.load, host="process")
        self.name = f"kbridge {kbridge.__version__}"


@engine("tensorflow")
class TensorFlow(Engine):
    """The Keras model on TensorFlow, by ``tf.function`` or by Keras's ``predict_on_batch``."""

    def prepare(self, threads: int) -> None:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        import keras

        self.tf = tf
        self.keras = keras

    def load(self, path: str) -> None:
        model = self.keras.models.load_model(path, compile=False)
        if self.variant == "predict_on_batch":
            self.run = model.predict_on_batch
            return
        function = self.tf.function(lambda x: model(x, training=False))
        self.run = lambda x: function(self.tf.constant(x)).numpy()

    def call(self) -> np.ndarray:
        return self.run(self.x)

    def version(self) -> str:
        return f"TensorFlow {self.tf.__version__}, Keras {self.keras.__version__}"


class Training(Engine):
    """Does training steps; what it answers is the loss."""

    def labels(self, y: np.ndarray) -> None:
        self.y = y

    def call(self) -> np.ndarray:
        return np.array([self.model.train_on_batch(self.x, self.y)], "float32")


@engine("kbridge-training")
class KBridgeTraining(Training, KBridge):
    """kbridge's ``train_on_batch``."""


@engine("keras-training")
class KerasTraining(Training, TensorFlow):
    """Keras's ``train_on_batch`` on TensorFlow."""

    def load(self, path: str) -> None:
        self.model = self.keras.models.load_model(path)


@engine("onnxruntime")
class OnnxRuntime(Engine):
    """ONNX Runtime from Python, on what Keras's own export wrote."""

    def prepare(self, threads: int) -> None:
        import onnxruntime

        self.ort = onnxruntime
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1

    def load(self, path: str) -> None:
        providers = ["CPUExecutionProvider"]
        self.session = self.ort.InferenceSession(path, self.options, providers=providers)
        self.feed = self.session.get_inputs()[0].name

    def call(self) -> np.ndarray:
        return self.session.run(None, {self.feed: self.x})[0]

    def version(self) -> str:
        return f"ONNX Runtime {self.ort.__version__}"


@engine("numpy")
class NumPyCopy(Engine):
    """A plain copy, the yardstick for moving data: into new memory, or into memory kept."""

    def prepare(self, threads: int) -> None:
        del threads  # a copy has one

    def load(self, path: str) -> None:
        del path

    def input(self, x: np.ndarray) -> None:
        self.x = x
        self.kept = np.zeros_like(x)

    def call(self) -> np.ndarray:
        if self.variant == "new":
            return self.x.copy()
        np.copyto(self.kept, self.x)
        return self.kept

    def version(self) -> str:
        return f"NumPy {np.__version__}"
