"""Fixtures of the oneDNN tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def winograd(jvm: Any) -> Iterator[Callable[[str], None]]:
    """Gives a function that decides about Winograd's algorithm, for models loaded later."""
    yield from _deciding("io.kbridge.onednn.winograd")


@pytest.fixture
def panels(jvm: Any) -> Iterator[Callable[[str], None]]:
    """Gives a function that decides about products by panels, for models loaded later."""
    yield from _deciding("io.kbridge.onednn.panels")


@pytest.fixture
def machine_code(jvm: Any) -> Iterator[Callable[[str], None]]:
    """Gives a function that decides whether there is code of ours, for models loaded later."""
    yield from _deciding("io.kbridge.machineCode")


@pytest.fixture
def dividing(jvm: Any) -> Iterator[Callable[[str], None]]:
    """Gives a function that decides whether cores share out samples, for models loaded later."""
    yield from _deciding("io.kbridge.divide")


def _deciding(name: str) -> Iterator[Callable[[str], None]]:
    import jpype

    system = jpype.JClass("java.lang.System")
    yield lambda choice: system.setProperty(name, choice)
    system.clearProperty(name)
