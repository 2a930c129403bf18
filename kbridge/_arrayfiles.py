"""Arrays in NumPy files, and what to show of them, for the command line."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kbridge import errors

if TYPE_CHECKING:
    from rich.table import Table


class ArrayFileError(errors.BundleFormatError):
    """A file with arrays that cannot be read or written."""


def read_arrays(path: Path) -> Any:
    """Reads one array from ``.npy``, or arrays by name from ``.npz``."""
    try:
        data = np.load(path, allow_pickle=False)
        if isinstance(data, np.ndarray):
            return data
        with data:
            return {name: data[name] for name in data.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as e:
        raise ArrayFileError(
            f"Expected a NumPy file (.npy or .npz) with numbers. Received: {str(path)!r} ({e}). "
            "Write one with numpy.save, or numpy.savez with the model's input names."
        ) from e


def write_arrays(path: Path, outputs: dict[str, Any]) -> None:
    """Writes arrays by name to ``.npz``, or a single one to ``.npy``."""
    try:
        if path.suffix == ".npy" and len(outputs) == 1:
            np.save(path, next(iter(outputs.values())))
        elif path.suffix == ".npz":
            np.savez(path, **outputs)
        else:
            raise errors.OptionError(
                "Expected --output to end in .npz, or .npy for a model with one output. "
                f"Received: {str(path)!r} for {len(outputs)} outputs."
            )
    except OSError as e:
        raise ArrayFileError(
            f"Expected to write {str(path)!r}. Received: {e.strerror}. Choose another place."
        ) from e


def summary(array: np.ndarray) -> dict[str, Any]:
    """Returns shape, dtype and range of an array, as JSON can hold them."""
    told: dict[str, Any] = {"shape": list(array.shape), "dtype": array.dtype.name}
    if array.size:
        values = array.astype("float64")
        told["finite"] = bool(np.isfinite(values).all())
        for name, number in (("min", values.min()), ("max", values.max()), ("mean", values.mean())):
            told[name] = float(number) if np.isfinite(number) else str(number)
    return told


def outputs_table(outputs: dict[str, Any]) -> Table:
    """Returns a table of arrays by name."""
    from rich.table import Table

    table = Table()
    for column in ("output", "shape", "dtype", "min", "max", "mean", "first values"):
        table.add_column(column)
    for name, array in outputs.items():
        told = summary(array)
        numbers = [_number(told.get(key, "")) for key in ("min", "max", "mean")]
        first = ", ".join(f"{value:.5g}" for value in array.reshape(-1)[:4].astype("float64"))
        table.add_row(name, str(told["shape"]), told["dtype"], *numbers, first)
    return table


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
