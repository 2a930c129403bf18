"""A layer of one's own, from Keras to a Java operation of one's own.

`SoftClamp` calls TensorFlow, so kbridge cannot trace it. Two ways out are shown, a file each:
this one says what the layer computes, and SoftClampOp.java computes it on the JVM.

Run: python clamped.py
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import kbridge
from kbridge.jvm import host, jars
from kbridge.jvm.java import find_java

HERE = Path(__file__).resolve().parent


class SoftClamp(keras.layers.Layer):
    """Keeps numbers between -limit and limit, smoothly."""

    def __init__(self, limit: float, in_java: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.limit = limit
        self.in_java = in_java

    def call(self, x):
        return self.limit * tf.tanh(x / self.limit)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "limit": self.limit, "in_java": self.in_java}


@kbridge.lowers(SoftClamp)
def lower_soft_clamp(layer, x):
    """What SoftClamp computes: with keras.ops, or with the operation of the Java file."""
    if layer.in_java:
        return kbridge.emit_node("SoftClamp", [x], {"limit": layer.limit}, (x.shape, x.dtype))
    return layer.limit * keras.ops.tanh(x / layer.limit)


def compile_java(folder: Path) -> Path:
    """Compiles SoftClampOp.java and registers it, as a build tool would; returns the folder."""
    classpath = ":".join(str(jar) for jar in jars.resolve_classpath())
    javac = Path(find_java().home) / "bin" / "javac"
    source = HERE / "SoftClampOp.java"
    subprocess.run([javac, "-cp", classpath, "-d", folder, source], check=True)
    services = folder / "META-INF" / "services"
    services.mkdir(parents=True)
    (services / "io.kbridge.plan.OpMappings").write_text("SoftClampOp\n", encoding="utf-8")
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        host.configure(classpath=[compile_java(Path(folder))])
        x = np.linspace(-9, 9, 12, dtype="float32").reshape(3, 4)
        for in_java in (False, True):
            clamp = SoftClamp(2.5, in_java)
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), clamp])
            bundle = Path(folder) / f"model{in_java:d}.h5"
            kbridge.export(model, bundle)
            with kbridge.load(bundle) as jvm_model:
                difference = np.abs(jvm_model.predict(x) - model.predict(x, verbose=0)).max()
            where = "an operation in Java" if in_java else "keras.ops"
            print(f"SoftClamp with {where}: largest difference to Keras {difference:.1e}")


if __name__ == "__main__":
    main()
