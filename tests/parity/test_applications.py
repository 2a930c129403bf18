"""Whole networks at full size: every builder of keras.applications, and transformer backbones.

The weights are random, since pretrained files are not at hand everywhere; batch norms have the
statistics of the data that reaches them, as trained ones have. Outputs are compared, what feeds the
final softmax (which hides differences where it saturates), and every layer.
"""

from __future__ import annotations

import gc
import inspect

import keras
import numpy as np
import pytest

import kbridge
from tests.conftest import ROOT
from tests.weights import calibrate, randomise

# The networks that kbridge promises first; MobileNet, the smallest, is in every test run.
NAMED = (
    *("InceptionResNetV2", "InceptionV3", "MobileNet", "ResNet50", "VGG16", "VGG19"),
    "Xception",
)


def builders() -> list[str]:
    """Names of all model builders of keras.applications."""
    return [
        name
        for name, member in vars(keras.applications).items()
        if inspect.isfunction(member) and "weights" in inspect.signature(member).parameters
    ]


def network(name: str) -> keras.Model:
    """A network at its default size, with weights as they are after training."""
    model = randomise(getattr(keras.applications, name)(weights=None))
    # NB: Keras holds what all layers give of all samples at once, here 9 GB of each.
    return calibrate(model, images(model, 1 if name == "EfficientNetB7" else 2))


def images(model: keras.Model, count: int) -> np.ndarray:
    """Random images; a network that leaves their size open gets those it is meant for."""
    shape = [size or 224 for size in model.input_shape[1:]]
    return np.random.default_rng(1).normal(size=(count, *shape)).astype("float32")


@pytest.fixture(autouse=True)
def _free_memory():
    yield
    keras.backend.clear_session()
    gc.collect()


@pytest.mark.parametrize(
    "name",
    [
        name if name == "MobileNet" else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(builders())
    ],
)
def test_application(jvm, name):
    model = network(name)
    report = kbridge.check(model, images(model, 3))
    logits = max((a.max_rel for a in report.logits), default=0.0)
    print(f"{name}: outputs {report.max_error:.1e}, logits {logits:.1e}")
    report.raise_if_failed()
    assert report.max_error <= 1e-4


def test_all_named_networks_are_among_the_builders():
    assert set(NAMED) <= set(builders())
    assert len(builders()) >= 38


def test_page_has_networks_whose_outputs_agree():
    page = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
    table = page.split("<!-- table: scripts/applications_table.py -->")[1].split("<!-- end")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    found = {row[0]: float(row[2]) for row in rows if len(row) == 6 and row[4] in ("yes", "NO")}
    assert found
    assert set(found) <= set(builders())
    assert max(found.values()) <= 1e-4


def backbones():
    """Small transformers as keras-hub builds them."""
    import keras_hub

    sizes = {"num_layers": 2, "hidden_dim": 32, "intermediate_dim": 48}
    text = {"vocabulary_size": 50, **sizes}
    yield "BERT", lambda: keras_hub.models.BertBackbone(num_heads=4, max_sequence_length=16, **text)
    yield (
        "GPT-2",
        lambda: keras_hub.models.GPT2Backbone(num_heads=4, max_sequence_length=16, **text),
    )
    yield (
        "Llama",
        lambda: keras_hub.models.LlamaBackbone(num_query_heads=4, num_key_value_heads=2, **text),
    )
    yield (
        "ViT",
        lambda: keras_hub.models.ViTBackbone(
            image_shape=(32, 32, 3),
            patch_size=16,
            num_layers=2,
            num_heads=4,
            hidden_dim=32,
            mlp_dim=48,
        ),
    )


BACKBONES = ("BERT", "GPT-2", "Llama", "ViT")


@pytest.mark.parametrize("name", BACKBONES)
def test_backbone(jvm, name):
    pytest.importorskip("keras_hub", reason="keras-hub is not installed: pip install keras-hub")
    model = randomise(dict(backbones())[name]())
    kbridge.check(model).raise_if_failed()
