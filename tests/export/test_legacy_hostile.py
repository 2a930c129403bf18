"""Hostile files: one per way in which files of models have been used to run code or read others."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import h5py
import keras
import numpy as np
import pytest

from kbridge.errors import BundleFormatError, KBridgeError, UnsupportedModelError
from kbridge.export.sources import open_source


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one honest model as good.h5 and good.keras."""
    folder = tmp_path_factory.mktemp("good")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")], name="m")
    model.save(folder / "good.keras")
    model.save(folder / "good.h5")
    return folder


# --- HDF5 -----------------------------------------------------------------------------------------


def dense_group(file: h5py.File) -> h5py.Group:
    return file["model_weights"]["d"]


def kernel_name(file: h5py.File) -> str:
    name = dense_group(file).attrs["weight_names"][0]
    return name.decode() if isinstance(name, bytes) else str(name)


def replace_kernel(make: Callable[[h5py.Group, str, Path], None]) -> Callable:
    def change(file: h5py.File, folder: Path) -> None:
        name = kernel_name(file)
        group = dense_group(file)
        del group[name]
        make(group, name, folder)

    return change


def external_link(group: h5py.Group, name: str, folder: Path) -> None:
    group[name] = h5py.ExternalLink(str(folder / "secret.h5"), "/secret")


def soft_link(group: h5py.Group, name: str, folder: Path) -> None:
    group[name] = h5py.SoftLink("/model_weights/elsewhere")


def external_storage(group: h5py.Group, name: str, folder: Path) -> None:
    (folder / "secret.bin").write_bytes(b"\1" * 48)
    group.create_dataset(name, (4, 3), "f4", external=[(str(folder / "secret.bin"), 0, 48)])


def virtual(group: h5py.Group, name: str, folder: Path) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "secret", (4, 3))
    group.create_virtual_dataset(name, layout)


def references(group: h5py.Group, name: str, folder: Path) -> None:
    group.create_dataset(name, (4, 3), h5py.ref_dtype)


def lists(group: h5py.Group, name: str, folder: Path) -> None:
    group.create_dataset(name, (4, 3), h5py.vlen_dtype(np.float32))


def text(group: h5py.Group, name: str, folder: Path) -> None:
    group.create_dataset(name, data=np.array([b"x"]))


def shape_bomb(group: h5py.Group, name: str, folder: Path) -> None:
    group.create_dataset(name, (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))


def gzip_bomb(group: h5py.Group, name: str, folder: Path) -> None:
    data = group.create_dataset(name, (1 << 14, 1 << 14), "f4", chunks=(1 << 14, 64), compression=9)
    data[:, :64] = 1


def cycle(file: h5py.File, folder: Path) -> None:
    dense_group(file)["again"] = file["model_weights"]


def config_of(file: h5py.File) -> dict:
    return json.loads(file.attrs["model_config"])


def with_layer(class_name: str, **config: object) -> Callable:
    def change(file: h5py.File, folder: Path) -> None:
        whole = config_of(file)
        entry = {"class_name": class_name, "config": {"name": "bad", **config}}
        whole["config"]["layers"].append(entry)
        file.attrs["model_config"] = json.dumps(whole)

    return change


def marshalled() -> list:
    import base64
    import marshal

    code = marshal.dumps((lambda x: x).__code__)
    return [base64.b64encode(code).decode(), None, None]


def large_config(file: h5py.File, folder: Path) -> None:
    """A layer of 400 GB, in a file of a few kB."""
    whole = config_of(file)
    next(e for e in whole["config"]["layers"] if e["class_name"] == "Dense")["config"]["units"] = (
        10**11
    )
    file.attrs["model_config"] = json.dumps(whole)


def deep_config(file: h5py.File, folder: Path) -> None:
    file.attrs["model_config"] = "[" * 5000 + "]" * 5000


def huge_integer(file: h5py.File, folder: Path) -> None:
    text = json.dumps(config_of(file)).replace('"units": 3', '"units": ' + "9" * 400)
    file.attrs["model_config"] = text


def layer_name_is_path(file: h5py.File, folder: Path) -> None:
    text = json.dumps(config_of(file)).replace('"name": "d"', '"name": "../../evil"')
    file.attrs["model_config"] = text


HDF5 = {
    "external link": (replace_kernel(external_link), "external link"),
    "soft link": (replace_kernel(soft_link), "soft link"),
    "external storage": (replace_kernel(external_storage), "external storage"),
    "virtual dataset": (replace_kernel(virtual), "virtual dataset"),
    "object references": (replace_kernel(references), "not a number"),
    "lists": (replace_kernel(lists), "not a number"),
    "strings as weights": (replace_kernel(text), "not a number"),
    "dataset that claims 4 TB": (replace_kernel(shape_bomb), "claims 4398046511104 bytes"),
    "dataset that unpacks a lot": (replace_kernel(gzip_bomb), "claims 1073741824 bytes"),
    "cyclic groups": (cycle, "linked twice"),
    "lambda bytecode": (with_layer("Lambda", function=marshalled()), "Lambda|bytecode"),
    "SavedModel program": (with_layer("TFSMLayer", filepath="/somewhere/x"), "TFSMLayer"),
    "pickled torch module": (with_layer("TorchModuleWrapper", module="gASV"), "TorchModule"),
    "unknown class": (with_layer("os.system", command="id"), "os.system"),
    "path in a config": (with_layer("Dense", units=2, note="/etc/passwd"), "path or address"),
    "address in a config": (with_layer("Dense", units=2, note="http://x/y"), "path or address"),
    "vocabulary file": (with_layer("StringLookup", vocabulary="words.txt"), "names a file"),
    "layer name that leads away": (layer_name_is_path, "path or address"),
    "config that asks for 400 GB": (large_config, "1600000000000 bytes|do not belong"),
    "deep config": (deep_config, "levels deep|to be JSON"),
    "huge integer": (huge_integer, "out of range"),
}


@pytest.mark.parametrize("case", sorted(HDF5))
def test_hdf5_is_refused(case: str, good: Path, tmp_path: Path) -> None:
    change, reason = HDF5[case]
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["secret"] = np.ones((4, 3), "f4")
    path = tmp_path / "bad.h5"
    path.write_bytes((good / "good.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        change(file, tmp_path)
    with pytest.raises((UnsupportedModelError, BundleFormatError), match=reason):
        open_source(path)


def test_wrong_shape_is_refused(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.h5"
    path.write_bytes((good / "good.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        name = kernel_name(file)
        del dense_group(file)[name]
        dense_group(file)[name] = np.ones((4, 2), "f4")
    with pytest.raises(BundleFormatError, match=r"Expected weights of shapes \[\(4, 3\)"):
        open_source(path)


def test_refusals_are_collected(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.h5"
    path.write_bytes((good / "good.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file["a"] = h5py.SoftLink("/b")
        file["c"] = h5py.ExternalLink("/etc/x", "/y")
    with pytest.raises(UnsupportedModelError) as caught:
        open_source(path)
    assert [p.path for p in caught.value.problems] == ["/a", "/c"]


def test_keras2_lambda_and_marker_file(tmp_path: Path) -> None:
    """Bytecode that would leave a mark: refused, no mark; let through, it runs."""
    import tf_keras

    mark = tmp_path / "mark"
    code = f"lambda x: (__import__('pathlib').Path({str(mark)!r}).touch(), x)[1]"
    layer = tf_keras.layers.Lambda(eval(code), name="evil")
    tf_keras.Sequential([tf_keras.Input((2,)), layer]).save(tmp_path / "m.h5", save_format="h5")
    mark.unlink(missing_ok=True)
    with pytest.raises(UnsupportedModelError, match="bytecode"):
        open_source(tmp_path / "m.h5")
    assert not mark.exists()
    source = open_source(tmp_path / "m.h5", allow_lambda=True)
    assert mark.exists()
    assert np.asarray(source.model(np.ones((1, 2), "f4"))).tolist() == [[1.0, 1.0]]


# --- archives -------------------------------------------------------------------------------------


def rewrite(good: Path, path: Path, change: Callable[[dict, zipfile.ZipFile], None]) -> Path:
    with zipfile.ZipFile(good / "good.keras") as old, zipfile.ZipFile(path, "w") as new:
        members = {name: old.read(name) for name in old.namelist()}
        change(members, new)
        for name, data in members.items():
            new.writestr(name, data)
    return path


def member(name: str) -> Callable:
    return lambda members, new: new.writestr(name, b"x")


def symlink(members: dict, new: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("assets/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    new.writestr(info, "/etc/passwd")


def duplicate(members: dict, new: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        new.writestr("config.json", "{}")
        new.writestr("config.json", members["config.json"])
    del members["config.json"]


def bomb(members: dict, new: zipfile.ZipFile) -> None:
    new.writestr("assets/zeros", bytes(64 << 20), compress_type=zipfile.ZIP_DEFLATED)


def config(change: Callable[[dict], None]) -> Callable:
    def apply(members: dict, new: zipfile.ZipFile) -> None:
        value = json.loads(members["config.json"])
        change(value)
        members["config.json"] = json.dumps(value).encode()

    return apply


def extra_layer(**entry: object) -> Callable:
    return config(lambda value: value["config"]["layers"].append({"config": {}, **entry}))


def dense_config(value: dict) -> dict:
    return next(e for e in value["config"]["layers"] if e["class_name"] == "Dense")["config"]


def weights(change: Callable[[h5py.File], None]) -> Callable:
    def apply(members: dict, new: zipfile.ZipFile) -> None:
        buffer = io.BytesIO(members["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            change(file)
        members["model.weights.h5"] = buffer.getvalue()

    return apply


def link_weights(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/x.h5", "/y")


ARCHIVES = {
    "member that climbs": (member("../evil"), "leads out"),
    "absolute member": (member("/etc/evil"), "leads out"),
    "member with a drive": (member("C:/evil"), "leads out"),
    "member with a backslash": (member("a\\evil"), "leads out"),
    "symbolic link": (symlink, "symbolic link"),
    "duplicate member": (duplicate, "twice"),
    "zip bomb": (bomb, "unpack to"),
    "any function of any module": (
        extra_layer(module="os", class_name="function", registered_name="system", config="system"),
        "not one of Keras's functions",
    ),
    "any class of any module": (
        extra_layer(module="subprocess", class_name="Popen", registered_name="Popen"),
        "not one of Keras's classes",
    ),
    "gadget inside Keras": (
        extra_layer(
            module="keras.utils", class_name="function", registered_name=None, config="get_file"
        ),
        "get_file",
    ),
    "switch for unsafe mode": (
        extra_layer(
            module="keras.config",
            class_name="function",
            registered_name=None,
            config="enable_unsafe_deserialization",
        ),
        "enable_unsafe_deserialization",
    ),
    "registered name over an honest class": (
        extra_layer(module="keras.layers", class_name="Dense", registered_name="pkg>Gadget"),
        "pkg>Gadget",
    ),
    "Keras class that is no layer": (
        extra_layer(module="keras.src.saving.saving_lib", class_name="DiskIOStore"),
        "DiskIOStore",
    ),
    "lambda": (
        extra_layer(module="builtins", class_name="__lambda__", config={"value": "x"}),
        "bytecode",
    ),
    "Lambda layer": (extra_layer(module="keras.layers", class_name="Lambda"), "bytecode"),
    "SavedModel program": (extra_layer(module="keras.layers", class_name="TFSMLayer"), "TFSMLayer"),
    "torch module": (
        extra_layer(module="keras.layers", class_name="TorchModuleWrapper"),
        "pickled",
    ),
    "vocabulary file": (
        extra_layer(
            module="keras.layers", class_name="StringLookup", config={"vocabulary": "/etc/passwd"}
        ),
        "/etc/passwd",
    ),
    "config that asks for 400 GB": (
        config(lambda value: dense_config(value).update(units=10**11)),
        "do not belong to its configuration",
    ),
    "linked weights": (weights(link_weights), "external link"),
}


@pytest.mark.parametrize("case", sorted(ARCHIVES))
def test_archive_is_refused(case: str, good: Path, tmp_path: Path) -> None:
    change, reason = ARCHIVES[case]
    path = rewrite(good, tmp_path / "bad.keras", change)
    modules = set(sys.modules)
    with pytest.raises((UnsupportedModelError, BundleFormatError), match=reason):
        open_source(path)
    assert "antigravity" not in set(sys.modules) - modules


def test_nothing_is_imported_for_a_file(good: Path, tmp_path: Path) -> None:
    entry = extra_layer(module="antigravity", class_name="Layer", registered_name=None)
    path = rewrite(good, tmp_path / "bad.keras", entry)
    with pytest.raises(UnsupportedModelError):
        open_source(path)
    assert "antigravity" not in sys.modules


def test_memory_stays_bounded(good: Path, tmp_path: Path) -> None:
    import tracemalloc

    for case in ("config that asks for 400 GB",):
        path = rewrite(good, tmp_path / "bad.keras", ARCHIVES[case][0])
        tracemalloc.start()
        with pytest.raises(KBridgeError):
            open_source(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100 << 20


def test_honest_files_still_open(good: Path) -> None:
    """After refusals nothing is left behind that would hurt the next file."""
    for name in ("good.h5", "good.keras"):
        source = open_source(good / name)
        assert np.asarray(source.model(np.ones((1, 4), "f4"))).shape == (1, 3)
        assert source.notes == []
