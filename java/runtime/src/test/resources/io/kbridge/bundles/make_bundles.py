"""Writes the bundles in this folder; run it here, with kbridge importable, after a format change.

`good.h5` is a small correct bundle that the tests copy and damage; its spec has a member "_slack"
of spaces, so that tests can change the spec without moving anything in the file. The `bad_*.h5`
files hold what only HDF5 itself can write and a bundle must not have.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import ml_dtypes
import numpy as np

from kbridge.bundle import BundleWriter

HERE = Path(__file__).parent
SIGNED = ("float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64")
DTYPES = (*SIGNED, "uint8", "uint16", "uint32", "uint64", "bool")


def numpy_dtype(name: str) -> np.dtype:
    """Returns the NumPy type of an element type."""
    return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)


def value(name, shape, dtype="float32"):
    """Returns a value of the spec."""
    return {"name": name, "shape": shape, "dtype": dtype}


def node(name, op, inputs, shape, **attrs):
    """Returns a node of the spec with one output."""
    return {
        "name": name,
        "op": op,
        "scope": name.split("/")[0],
        "inputs": inputs,
        "attrs": attrs,
        "outputs": [value(name, shape)],
    }


def write_good() -> None:
    """Writes the bundle that is right."""
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(4, 6)).astype("f4"), rng.normal(size=6).astype("f4")
    x = rng.normal(size=(3, 4)).astype("f4")
    hidden = np.maximum(x @ kernel + bias * 2, 0)
    with BundleWriter(HERE / "good.h5") as writer:

        def entry(path, array):
            return {
                "path": path,
                "dtype": array.dtype.name,
                "shape": list(array.shape),
                "sha256": writer.array(path, array),
            }

        weights = {
            "dense/kernel": entry("/model_weights/dense/dense/kernel", kernel),
            "dense/bias": entry("/model_weights/dense/dense/bias", bias),
        }
        constants = {
            f"all_{name}": entry(
                f"/kbridge/constants/all_{name}",
                np.array([[0, 1, 2], [3, 100, 1]]).astype(numpy_dtype(name)),
            )
            for name in DTYPES
        }
        constants["empty"] = entry("/kbridge/constants/empty", np.zeros((0, 3), "f4"))
        constants["rank0"] = entry("/kbridge/constants/rank0", np.float32(7).reshape(()))
        constants["two"] = {"dtype": "float32", "shape": [], "value": 2.0}
        constants["nothing"] = {"dtype": "float16", "shape": [], "value": "nan"}
        constants["most"] = {"dtype": "uint64", "shape": [], "value": 2**64 - 1}
        constants["least"] = {"dtype": "int8", "shape": [], "value": -128}
        constants["yes"] = {"dtype": "bool", "shape": [], "value": True}
        batch = {"dims": [["x", 0]]}
        nodes = [
            node("dense/MatMul", "Matmul", ["x", "dense/kernel"], [None, 6]),
            node("dense/Scaled", "Multiply", ["dense/bias", "two"], [6]),
            node("dense/Add", "Add", ["dense/MatMul", "dense/Scaled"], [None, 6]),
            node("dense/Relu", "Relu", ["dense/Add"], [None, 6]),
            node("fold/Reshape", "Reshape", ["dense/Relu"], [None, 2, 3], newshape=[batch, 2, 3]),
            node("dead/Relu", "Relu", ["dense/MatMul"], [None, 6]),
        ]
        spec = {
            "schema_version": "1.0",
            "name": "good",
            "inputs": [{**value("x", [None, 4]), "optional": False}],
            "outputs": [
                {**value("hidden", [None, 6]), "value": "dense/Relu"},
                {**value("folded", [None, 2, 3]), "value": "fold/Reshape"},
            ],
            "input_structure": "*",
            "output_structure": [0, 1],
            "weights": weights,
            "constants": constants,
            "graphs": {"inference": {"nodes": nodes, "outputs": ["dense/Relu", "fold/Reshape"]}},
            "layer_outputs": [
                {"scope": "dense", "call": 0, "class_name": "Dense", "values": ["dense/Relu"]}
            ],
            "layers": [],
            "_slack": " " * 2000,
        }
        writer.document("/kbridge/spec", spec)
        writer.document("/kbridge/training", {"compiled": False})
        writer.document("/kbridge/provenance", {"kbridge_version": "test"})
        writer.array("/kbridge/golden/inputs/x", x)
        writer.array("/kbridge/golden/outputs/hidden", hidden)
        writer.array("/kbridge/golden/outputs/folded", hidden.reshape(3, 2, 3))
        for name, number in (("rtol", 1e-5), ("atol", 1e-6), ("seed", 0)):
            writer.attribute("/kbridge/golden", name, number)


def write_bad() -> None:
    """Writes one file per thing a bundle must not have."""
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "d", (2,))
    numbers = np.arange(8, dtype="f4")
    makers = {
        "chunked": lambda g: g.create_dataset("bad", data=numbers, chunks=(4,)),
        "compressed": lambda g: g.create_dataset("bad", data=numbers, compression="gzip"),
        "compact": lambda g: h5py.h5d.create(
            g.id, b"bad", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((2,)), compact
        ),
        "external_storage": lambda g: g.create_dataset(
            "bad", (4,), "f4", external=[("elsewhere.bin", 0, 16)]
        ),
        "virtual": lambda g: g.create_virtual_dataset("bad", layout),
        "big_endian": lambda g: g.create_dataset("bad", data=numbers.astype(">f4")),
        "string": lambda g: g.create_dataset("bad", data="text"),
        "reference": lambda g: g.create_dataset("bad", data=g.ref, dtype=h5py.ref_dtype),
        "never_written": lambda g: g.create_dataset("bad", (1 << 40,), "f4"),
        "named_type": lambda g: g.__setitem__("bad", np.dtype("f8")),
        "soft_link": lambda g: g.__setitem__("bad", h5py.SoftLink("/kbridge")),
        "external_link": lambda g: g.__setitem__("bad", h5py.ExternalLink("other.h5", "/x")),
        "cycle": lambda g: g.__setitem__("bad", g.parent),
    }
    for name, make in makers.items():
        with h5py.File(HERE / f"bad_{name}.h5", "w") as file:
            file.require_group("kbridge").attrs["schema_version"] = "1.0"
            make(file.require_group("model_weights"))
    with h5py.File(HERE / "bad_no_kbridge.h5", "w") as file:
        file["weight"] = numbers


if __name__ == "__main__":
    write_good()
    write_bad()
