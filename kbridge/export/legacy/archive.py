"""Opens `.keras` archives of Keras 3, and those of Keras 2.12 and later."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import h5py
import keras
from keras.src.saving import saving_lib

from kbridge.errors import BundleFormatError, ExportError
from kbridge.export.legacy import allocation
from kbridge.export.legacy.hdf5_guard import check_hdf5
from kbridge.export.legacy.json_guard import check_config, decode_json
from kbridge.export.legacy.zip_guard import check_zip
from kbridge.export.sources import Source


def open_archive(
    stream: IO[bytes], *, custom_objects: Mapping[str, Any], allow_lambda: bool
) -> Source:
    """Opens a `.keras` archive; arguments as in `open_source`."""
    try:
        with zipfile.ZipFile(stream) as archive:
            check_zip(archive)
            metadata = decode_json(archive.read("metadata.json"), "metadata.json")
            config = decode_json(archive.read("config.json"), "config.json")
            version = str(metadata.get("keras_version"))
            with archive.open("model.weights.h5") as member:
                stored = _check_weights(member)
            if version.startswith("2."):
                from kbridge.export.legacy.archive_keras2 import open_keras2_archive

                return open_keras2_archive(
                    archive, config, version, custom_objects, allow_lambda, stored
                )
    except (zipfile.BadZipFile, EOFError) as error:
        raise BundleFormatError(
            f"Expected a readable .keras archive. Received: a damaged one ({error}). Get it again."
        ) from error
    check_config(config, custom_objects, allow_lambda)
    _check_claim(config, custom_objects, allow_lambda, stored)
    stream.seek(0)
    return _load(stream, config, version, custom_objects, allow_lambda)


def _check_weights(member: IO[bytes]) -> int:
    try:
        with h5py.File(io.BytesIO(member.read()), "r") as weights:
            return check_hdf5(weights)
    except OSError as error:
        raise BundleFormatError(
            f"Expected HDF5 weights in the archive. Received: damaged ones ({error}). Get it again."
        ) from error


def _without_state(value: Any) -> Any:
    """Returns a config without what Keras would build from it besides the layers."""
    if isinstance(value, dict):
        return {k: _without_state(v) for k, v in value.items() if k != "compile_config"}
    if isinstance(value, list):
        return [_without_state(item) for item in value]
    return value


def _check_claim(
    config: dict, custom_objects: Mapping[str, Any], allow_lambda: bool, stored: int
) -> None:
    """Builds the model once without memory, to know how much it asks for."""
    try:
        with allocation.unallocated():
            model = keras.saving.deserialize_keras_object(
                _without_state(config), dict(custom_objects), safe_mode=not allow_lambda
            )
    except (ValueError, TypeError, KeyError) as error:
        raise BundleFormatError(
            f"Expected a config that Keras {keras.__version__} can build. Received: one of which "
            f"it says: {error}"
        ) from error
    if isinstance(model, keras.Model):
        allocation.check_claim(model, stored)
    allocation.discard()
    if not isinstance(model, keras.Model):
        raise BundleFormatError(
            f"Expected a saved model. Received: a saved {type(model).__name__}. Save "
            "the whole model."
        )


def _load(
    stream: IO[bytes],
    config: dict,
    version: str,
    custom_objects: Mapping[str, Any],
    allow_lambda: bool,
) -> Source:
    notes: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # NB: the open file is passed, not its path, so that what was checked is what is loaded.
            model = saving_lib.load_model(
                io.BufferedReader(stream) if not isinstance(stream, io.IOBase) else stream,
                custom_objects=dict(custom_objects),
                safe_mode=not allow_lambda,
            )
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ExportError(
            f"Expected a .keras file of Keras {version} that Keras {keras.__version__} can load. "
            f"Received: one of which it says: {error}"
        ) from error
    notes += [
        f"Keras said while loading: {w.message}" for w in caught if "keras" in str(w.filename)
    ]
    training = config.get("compile_config")
    if training and not getattr(model, "compiled", False):
        notes.append(
            "compile() could not be repeated: the model is exported without training state"
        )
    return Source(
        model, "keras", keras_version=version, notes=notes, training_config=training or None
    )
