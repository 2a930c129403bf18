"""Fixtures of the oneDNN tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

PROPERTY = "io.kbridge.onednn.winograd"


@pytest.fixture
def winograd(jvm: Any) -> Iterator[Callable[[str], None]]:
    """Gives a function that decides about Winograd's algorithm, for models loaded later."""
    import jpype

    system = jpype.JClass("java.lang.System")
    yield lambda choice: system.setProperty(PROPERTY, choice)
    system.clearProperty(PROPERTY)
