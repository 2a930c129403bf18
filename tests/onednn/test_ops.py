"""Every parity case of the single operations, on the oneDNN engine."""

import importlib
import sys
from pathlib import Path

import pytest

OPS = Path(__file__).resolve().parent.parent / "ops"
sys.path.append(str(OPS))

from harness import check  # noqa: E402

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
