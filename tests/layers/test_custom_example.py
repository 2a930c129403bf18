"""examples/custom: a rule in Python and an operation in Java, as a user runs them."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.conftest import ROOT


def test_example(jvm: object, run_python: Callable) -> None:
    script = ROOT / "examples" / "custom" / "clamped.py"
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    printed = run_python(code).stdout
    found = re.findall(r"SoftClamp with (.*): largest difference to Keras (.*)", printed)
    assert [where for where, _ in found] == ["keras.ops", "an operation in Java"]
    assert all(float(difference) < 1e-5 for _, difference in found)
