"""Every loss of Keras with its options: five steps, then an evaluation, on weights of its own."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import pytest

from tests.steps.losses import FAMILIES, branches, label, numbers, sample_weights
from tests.training import parity

CASES = [
    pytest.param(
        family,
        weighted,
        i,
        id=f"{label(case)}{', weighted' if weighted else ''}",
        marks=pytest.mark.slow if weighted and family != "regression" else (),
    )
    for weighted in (False, True)
    for family, cases in FAMILIES.items()
    for i, case in enumerate(cases)
]


@pytest.fixture(scope="module")
def trained(jvm: Any, tmp_path_factory: Any) -> Any:
    """Gives a function that trains all losses of a family at once and returns the weights."""

    @functools.cache
    def train(family: str, weighted: bool) -> dict[str, parity.Trained]:
        cases = FAMILIES[family]
        model = branches(cases)
        model.compile(
            keras.optimizers.SGD(0.05),
            [case.loss for case in cases],
            loss_weights=[(1.5 if weighted else 1.0) * case.weight for case in cases],
            jit_compile=False,
        )
        y = [case.labels(*case.shape) for case in cases]
        chosen = [sample_weights(*each) for each in zip(cases, y, strict=True)]
        path: Path = tmp_path_factory.mktemp("losses") / "m.h5"
        labels = [part[:2] for part in y]
        given = chosen if weighted else None
        return parity.follow(model, path, numbers(6), y, given, labels=labels)

    return train


@pytest.mark.parametrize(("family", "weighted", "i"), CASES)
def test_loss(trained: Any, record_property: Any, family: str, weighted: bool, i: int) -> None:
    record_property("suite", "training steps, losses")
    parity.check(trained(family, weighted), f"dense{i}/")
