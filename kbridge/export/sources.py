"""Opens a model from wherever it comes: a live model, a `.keras` archive, an HDF5 file."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kbridge.errors import BundleFormatError, BundleNotFoundError, ExportError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"


@dataclass
class Source:
    """A model to export and where it came from.

    Attributes:
        model: A live, built Keras 3 model with its weights; compiled if the file says how.
        kind: ``"live"``, ``"keras"`` or ``"hdf5"``.
        file: Name of the file without its folder, or None.
        sha256: Hex digest of the file, or None.
        keras_version: Version that wrote the file (or runs, for a live model), or None if unknown.
        backend: Backend that wrote it, or None if unknown.
        notes: What was converted, and what could not be, said for humans.
        training_config: The file's own training configuration, or None.
    """

    model: Any
    kind: str
    file: str | None = None
    sha256: str | None = None
    keras_version: str | None = None
    backend: str | None = None
    notes: list[str] = field(default_factory=list)
    training_config: dict[str, Any] | None = None


def open_source(
    model_or_path: Any,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    allow_lambda: bool = False,
    backend: str | None = None,
    data_format: str | None = None,
) -> Source:
    """Opens a model for export.

    Args:
        model_or_path: A live Keras model, or the path of a `.keras` or HDF5 file.
        custom_objects: Classes and functions the file may name, by name. Nothing else is trusted.
        allow_lambda: Whether Python bytecode in the file may run. Only for files you trust.
        backend: Backend that wrote the file, for Keras 1 files that do not tell: ``"theano"`` or
            ``"tensorflow"``.
        data_format: Order of image dimensions, for Keras 1 files that do not tell:
            ``"channels_first"`` or ``"channels_last"``.

    Returns:
        The model and its origin.

    Raises:
        BundleNotFoundError: If there is no such file.
        BundleFormatError: If it is no Keras model file, or a damaged one.
        UnsupportedModelError: If parts of it are refused; lists all of them.
        ExportError: If the model is not built, or the file leaves something to be said.
    """
    if not isinstance(model_or_path, (str, os.PathLike)):
        return _live(model_or_path)
    path = Path(model_or_path)
    _check_exists(path)
    with path.open("rb") as stream:
        head = stream.read(2048)
        sha256 = _digest(stream)
        options = {"custom_objects": dict(custom_objects or {}), "allow_lambda": allow_lambda}
        if head.startswith(_HDF5):
            from kbridge.export.legacy.hdf5 import open_hdf5

            source = open_hdf5(stream, **options, backend=backend, data_format=data_format)
        elif head.startswith(_ZIP) and _is_keras_zip(stream):
            from kbridge.export.legacy.archive import open_archive

            source = open_archive(stream, **options)
        else:
            raise BundleFormatError(_foreign(path, head))
    source.file, source.sha256 = path.name, sha256
    _check_built(source.model)
    return source


def _digest(stream: IO[bytes]) -> str:
    stream.seek(0)
    digest = hashlib.file_digest(stream, "sha256").hexdigest()
    stream.seek(0)
    return digest


def _check_exists(path: Path) -> None:
    if path.is_dir():
        raise BundleFormatError(_folder(path))
    if not path.exists():
        raise BundleNotFoundError(
            f"Expected a Keras model file (.keras, .h5, .hdf5). Received: '{path}', which does not "
            "exist. Check the path."
        )


def _folder(path: Path) -> str:
    what = "a folder"
    if (path / "saved_model.pb").exists():
        what = "a TensorFlow SavedModel folder"
        way = "load it in the Keras that wrote it and call model.save('model.keras')"
    elif (path / "config.json").exists():
        what, way = "an unpacked Keras archive", "zip its contents to a .keras file"
    else:
        way = "give the path of the model file inside"
    return (
        f"Expected a Keras model file (.keras, .h5, .hdf5). Received: '{path}', {what}. "
        f"To do: {way}."
    )


def _is_keras_zip(stream: IO[bytes]) -> bool:
    try:
        with zipfile.ZipFile(stream) as archive:
            return "config.json" in archive.namelist()
    except zipfile.BadZipFile as error:
        raise BundleFormatError(
            f"Expected a readable .keras archive. Received: a damaged or cut-off zip ({error}). "
            "Get the file again."
        ) from error


_SAVE = "load it where it was written and save a Keras model with model.save('model.keras')"
_FOREIGN = (
    (lambda h, p: len(h) == 0, "an empty file", "get it again"),
    (
        lambda h, p: h[4:8] == b"TFL3",
        "a TensorFlow Lite model",
        "export the Keras model it came from",
    ),
    (lambda h, p: h.startswith(_ZIP) and b"data.pkl" in h, "a PyTorch file", "rebuild it in Keras"),
    (lambda h, p: h.startswith(_ZIP), "a zip archive that holds no Keras model", _SAVE),
    (lambda h, p: h.startswith(b"\x80"), "a Python pickle (PyTorch .pt?)", "rebuild it in Keras"),
    (lambda h, p: h.startswith(b"\x93NUMPY"), "a NumPy array", _SAVE),
    (
        lambda h, p: p.suffix == ".onnx" or b"onnx" in h,
        "an ONNX model",
        "use ONNX Runtime's Java API",
    ),
    (lambda h, p: p.suffix == ".pb", "a TensorFlow graph", _SAVE),
    (lambda h, p: h.lstrip()[:1] in (b"{", b"["), "JSON: an architecture without weights", _SAVE),
)


def _foreign(path: Path, head: bytes) -> str:
    unknown = (f"an unknown format that starts with {head[:8]!r}", _SAVE)
    what, way = next((row[1:] for row in _FOREIGN if row[0](head, path)), unknown)
    return (
        f"Expected a Keras model file (.keras, .h5, .hdf5). Received: '{path}', which seems to be "
        f"{what}. To do: {way}."
    )


def _live(model: Any) -> Source:
    import keras

    if isinstance(model, keras.Model):
        _check_built(model)
        return Source(
            model, "live", keras_version=keras.__version__, backend=keras.config.backend()
        )
    modules = {base.__module__.split(".")[0] for base in type(model).__mro__}
    if "tf_keras" in modules:
        from kbridge.export.legacy.live_keras2 import convert_live

        return convert_live(model)
    raise ExportError(
        "Expected a Keras 3 model, or the path of a model file. "
        f"Received: {type(model).__module__}.{type(model).__name__}. "
        "Pass a keras.Model, or save the model to a file and pass its path."
    )


def _check_built(model: Any) -> None:
    built = model.built and all(layer.built for layer in model.layers)
    if not built:
        raise ExportError(
            f"Expected a built model. Received: '{model.name}' ({type(model).__name__}), whose "
            "weights do not exist yet. Call it on a sample, or model.build(input_shape), first."
        )
