"""Every parity case of the single operations, on the oneDNN engine."""

import importlib
import sys
from pathlib import Path

import pytest

OPS = Path(__file__).resolve().parent.parent / "ops"
sys.path.append(str(OPS))

from gradients import check_gradients  # noqa: E402
from harness import check  # noqa: E402

GRADIENTS = ("convolutions", "pooling", "products", "activations", "normalizations", "control_flow")

CASES = [
    pytest.param(case, id=f"{path.stem.removeprefix('test_')}: {case.name}")
    for path in sorted(OPS.glob("test_*.py"))
    if path.stem != "test_coverage"
    for case in importlib.import_module(path.stem).CASES
]


@pytest.mark.parametrize("case", CASES)
def test_parity(jvm, case, record_property):
    record_property("suite", "operations, engine onednn")
    check(case, engine="onednn")


@pytest.mark.parametrize("case", [case for case in CASES if case.id.startswith(GRADIENTS)])
def test_gradient(jvm, case):
    check_gradients(case, engine="onednn")
