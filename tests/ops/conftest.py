"""Runs every case of the operation suite in each JVM that was asked for."""

from tests.hosts import everywhere

__all__ = ["everywhere"]
