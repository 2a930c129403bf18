"""What converters know about the file they read, and where they report to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kbridge.errors import ExportError, Problem


@dataclass
class Context:
    """One reading of one file.

    Attributes:
        major: Major Keras version of the writer: 1, 2 or 3.
        version: The whole version string, or None.
        backend: The backend that wrote the file, or None when the file does not say.
        data_format: What layers that store no data format are taken to use.
        custom_objects: Classes and functions from the caller, by name.
        allow_lambda: Whether the caller accepts code in the file.
        notes: Conversions, said for humans.
        problems: Everything that cannot be read.
    """

    major: int
    version: str | None = None
    backend: str | None = None
    data_format: str | None = None
    custom_objects: Mapping[str, Any] = field(default_factory=dict)
    allow_lambda: bool = False
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    class_path: list[str] = field(default_factory=list)

    @property
    def flips_kernels(self) -> bool:
        """Whether convolutions of the writer flip their kernels (Theano: true convolution)."""
        return self.backend == "theano"

    def note(self, text: str) -> None:
        """Adds a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def where(self) -> str:
        """Returns the path of the layer being read."""
        return "/".join(self.path) or "model"

    def refuse(self, reason: str, advice: str, class_name: str | None = None) -> None:
        """Adds a problem at the layer being read."""
        name = class_name or (self.class_path[-1] if self.class_path else "model")
        problem = Problem(self.where(), name, reason, advice)
        if problem not in self.problems:
            self.problems.append(problem)

    def need_backend(self) -> None:
        """Refuses to guess which backend wrote convolution kernels.

        Raises:
            ExportError: If neither the file nor the caller says it.
        """
        if self.backend is None:
            raise ExportError(
                "Expected a file that tells which backend wrote it, because Theano stores "
                "convolution kernels flipped and other backends do not. "
                f"Received: a Keras {self.version or self.major} file that does not say it, with "
                f"the convolution '{self.where()}'. "
                "Open it with kbridge.export.sources.open_source(path, backend='theano') or "
                "backend='tensorflow', and export the `.model` of what that returns."
            )
