"""Every parity case of the single operations, on the oneDNN engine."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "ops"))

from gradients import check_gradients
from harness import check, families

GRADIENTS = ("convolutions", "pooling", "products", "activations", "normalizations", "control_flow")

CASES = [
    pytest.param(case, id=f"{family.removeprefix('test_')}: {case.name}")
    for family, cases in families().items()
    for case in cases
]


@pytest.mark.parametrize("case", CASES)
def test_parity(jvm, case, record_property):
    record_property("suite", "operations, engine onednn")
    check(case, engine="onednn")


@pytest.mark.parametrize("case", [case for case in CASES if case.id.startswith(GRADIENTS)])
def test_gradient(jvm, case):
    check_gradients(case, engine="onednn")
