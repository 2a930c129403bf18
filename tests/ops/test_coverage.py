"""Every operation that the Java runtime claims to know has a parity case."""

import importlib
import pkgutil
from pathlib import Path


def test_every_mapping_has_a_case(jvm):
    import jpype

    covered = set()
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("test_") and module.name != Path(__file__).stem:
            for case in importlib.import_module(module.name).CASES:
                covered |= case.ops()
    known = {str(name) for name in jpype.JClass("io.kbridge.plan.OpRegistry").load().names()}
    missing = sorted(known - covered)
    assert not missing, f"ops without a parity case: {' '.join(missing)}"
