"""docs/support.md says what the registries and the suites have."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.layers.harness import public_layers
from tests.layers.test_layer_coverage import all_cases

PAGE = ROOT / "docs" / "support.md"
ADVICE = "run scripts/support_table.py"


def _script() -> Any:
    path = ROOT / "scripts" / "support_table.py"
    spec = importlib.util.spec_from_file_location("support_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _rows(heading: str) -> list[list[str]]:
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


def test_page_lists_every_layer_and_its_cases() -> None:
    counts = Counter(case.layer for case in all_cases() if case.refusal is None)
    shown = {row[0]: int(row[3] or 0) for row in _rows("Layers")}
    assert shown == {name: counts[name] for name in public_layers()}, ADVICE


def test_page_lists_every_mapping(jvm: Any) -> None:
    headings = ("Operations", "Operations of gradients")
    shown = {row[0]: row[1] for heading in headings for row in _rows(heading)}
    assert shown == _script().mappings(), ADVICE


def test_every_operation_has_a_case_on_the_page() -> None:
    without = [row[0] for row in _rows("Operations") if not row[4]]
    assert not without, ADVICE


@pytest.mark.slow
def test_page_is_what_the_script_writes(jvm: Any) -> None:
    assert PAGE.read_text(encoding="utf-8") == _script().render(), ADVICE
