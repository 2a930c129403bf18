"""Every public layer class has at least three parity cases, or a refusal that a test shows."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from pathlib import Path

from tests.layers.harness import Case, public_layers

# Tested by tests of their own in test_foreign.py, since each needs its own framework.
FOREIGN = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}


def all_cases() -> list[Case]:
    """The cases of all families."""
    modules = [m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])]
    names = [name for name in modules if name.startswith("test_")]
    found = [importlib.import_module(f"{__package__}.{name}") for name in names]
    return [case for module in found for case in getattr(module, "CASES", [])]


def test_every_layer_has_three_cases() -> None:
    parity = Counter(case.layer for case in all_cases() if case.refusal is None)
    refused = {case.layer for case in all_cases() if case.refusal is not None} | FOREIGN
    few = {
        name: parity[name]
        for name in public_layers()
        if parity[name] < 3 and not (parity[name] == 0 and name in refused)
    }
    assert not few, f"layers with fewer than three parity cases: {few}"


def test_cases_name_public_layers() -> None:
    unknown = {case.layer for case in all_cases()} - set(public_layers())
    assert not unknown, f"cases for layers that keras.layers does not have: {unknown}"
