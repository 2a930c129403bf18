"""Runs a real Keras 2 model in the JVM and proves that the numbers are the same.

Usage: python examples/emotion/demo.py [folder for the results, default: out]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.console import Console
from rich.table import Table
from skimage import color, data, feature, transform

import kbridge
from kbridge.export.sources import open_source
from kbridge.plot import plot

MODEL = Path(__file__).parent / "emotion_model.hdf5"
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SIZE = 64


def find_face(image: np.ndarray) -> np.ndarray:
    """Returns the largest face of a picture, cropped."""
    detector = feature.Cascade(data.lbp_frontal_face_cascade_filename())
    faces = detector.detect_multi_scale(
        img=image, scale_factor=1.2, step_ratio=1, min_size=(60, 60), max_size=(200, 200)
    )
    if not faces:
        raise SystemExit("Expected a face in the picture. Received: none was found.")
    face = max(faces, key=lambda f: f["width"])
    top, left = face["r"], face["c"]
    return image[top : top + face["height"], left : left + face["width"]]


def model_input(face: np.ndarray) -> np.ndarray:
    """Returns a face as the model was trained on: 64 x 64, grey, from -1 to 1, one sample."""
    grey = transform.resize(color.rgb2gray(face), (SIZE, SIZE), anti_aliasing=True)
    return (grey * 2 - 1).astype("float32")[None, :, :, None]


def side_by_side(native: np.ndarray, jvm: np.ndarray) -> Table:
    """Returns both answers as a table, the most likely emotion first."""
    table = Table(title="What the face expresses")
    for column in ("emotion", "native Keras", "JVM", "difference"):
        table.add_column(column, justify="left" if column == "emotion" else "right")
    for i in np.argsort(native)[::-1]:
        difference = abs(float(native[i]) - float(jvm[i]))
        table.add_row(EMOTIONS[i], f"{native[i]:.6f}", f"{jvm[i]:.6f}", f"{difference:.1e}")
    return table


def main(folder: str = "out") -> int:
    """Runs the demo; returns the exit code."""
    console = Console()
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    bundle, report_page, picture = out / "emotion.h5", out / "emotion.html", out / "emotion.svg"

    console.rule("1. Export")
    console.print(str(kbridge.export(MODEL, bundle)), highlight=False)
    model = open_source(MODEL).model
    x = model_input(find_face(data.astronaut()))

    console.rule("2. The same face, natively and in the JVM")
    native = np.asarray(model(x, training=False))[0]
    with kbridge.load(bundle) as jvm:
        answer = jvm.predict(x, verbose=0)[0]
        self_test = jvm.self_test()
    console.print(side_by_side(native, answer))
    best = int(answer.argmax())
    console.print(f"The JVM says [bold]{EMOTIONS[best]}[/bold], {answer[best]:.2f}.")
    golden = "gives" if self_test["ok"] else "DOES NOT GIVE"
    console.print(f"The bundle {golden} its own golden answers in this JVM.")

    console.rule("3. Parity, layer by layer")
    report = kbridge.check(model, x=x, bundle=bundle)
    console.print(report)

    report.to_html(report_page)
    plot(bundle, picture)
    console.rule("Results")
    for what, path in (("bundle", bundle), ("report", report_page), ("graph", picture)):
        console.print(f"{what:8} {path}", highlight=False)
    return 0 if report.ok and self_test["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
