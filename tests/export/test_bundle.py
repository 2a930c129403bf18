"""Bundles are written whole or not at all, and read only when they are whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from kbridge import bundle, errors
from kbridge.export.exporter import export


@pytest.fixture
def model():
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(3, name="d")(x))


@pytest.fixture
def path(tmp_path, model):
    target = tmp_path / "model.h5"
    export(model, target)
    return target


def test_weights_and_golden_samples_come_back(path, model):
    with bundle.read_bundle(path) as b:
        assert np.array_equal(b.weight("d/kernel"), model.layers[1].kernel.numpy())
        inputs, outputs = b.golden()
    (x,), (y,) = inputs.values(), outputs.values()
    assert (x < 0).any()
    assert np.allclose(model.predict(x, verbose=0), y)


def test_arrays_are_contiguous_uncompressed_and_aligned(path):
    def check(name, item):
        if isinstance(item, h5py.Dataset) and item.nbytes >= 64:
            assert item.chunks is None and item.compression is None
            assert item.id.get_offset() % 64 == 0, name

    with h5py.File(path) as f:
        f.visititems(check)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint32", "bool", "bfloat16"])
def test_element_types_keep_their_bits(tmp_path, dtype):
    import ml_dtypes

    true = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    array = np.array([[0, 1], [1, 0]]).astype(true)[:, ::-1]
    entry = {}
    with bundle.BundleWriter(tmp_path / "a.h5") as writer:
        writer.array("/a", array, entry)
        writer.wait_for_digests()
    with h5py.File(tmp_path / "a.h5") as f:
        stored = f["a"][()]
    assert entry == {"path": "/a", "sha256": bundle.digest_of(stored)}
    assert np.array_equal(stored.view(true), array)


def test_digests_of_several_arrays(tmp_path):
    arrays = [np.random.random(shape) for shape in [(1000,), (7, 200), (1, 5000), (3, 0)]]
    entries = [{} for _ in arrays]
    with bundle.BundleWriter(tmp_path / "a.h5") as writer:
        for i, (array, entry) in enumerate(zip(arrays, entries, strict=True)):
            writer.array(f"/{i}", array, entry)
        writer.start_sync()
        writer.wait_for_digests()
    with h5py.File(tmp_path / "a.h5") as f:
        for array, entry in zip(arrays, entries, strict=True):
            assert np.array_equal(f[entry["path"]][()], array)
            assert entry["sha256"] == bundle.digest_of(array)


def files_in(folder):
    return sorted(p.name for p in folder.iterdir())


def test_an_error_on_the_way_leaves_the_old_file(path, model, monkeypatch):
    before = path.read_bytes()

    def interrupted(self, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle.BundleWriter, "document", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(model, path)
    assert path.read_bytes() == before
    assert files_in(path.parent) == ["model.h5"]


_EXPORT = """
    import os, resource, signal, sys
    os.environ["KERAS_BACKEND"] = "numpy"
    import keras
    import numpy as np
    from kbridge import bundle, errors
    def export(path):
        with bundle.BundleWriter(path) as writer:
            for i in range(64):
                writer.array(f"/a{i}", np.zeros(1 << 17))
                print("wrote", i, flush=True)
"""


def run(code, *args, **kwargs):
    source = textwrap.dedent(_EXPORT) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def test_a_killed_export_leaves_the_old_file(path):
    before = path.read_bytes()
    child = run("export(sys.argv[1])", path)
    child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    assert path.read_bytes() == before


def test_a_full_disk_is_told_and_leaves_the_old_file(path):
    before = path.read_bytes()
    # A limit on the size of files is what a full disk looks like to the process.
    code = """
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 22, 1 << 22))
        try:
            export(sys.argv[1])
        except errors.ExportError as e:
            print("told:", e)
    """
    out, err = run(code, path).communicate(timeout=60)
    assert "told: Expected to write the bundle" in out, err
    assert path.read_bytes() == before
    assert files_in(path.parent) == ["model.h5"]


def test_too_little_space_is_told_before_the_work(tmp_path):
    with pytest.raises(errors.ExportError, match="bytes of free disk space"):
        bundle.BundleWriter(tmp_path / "m.h5", expected_bytes=1 << 62)
    assert files_in(tmp_path) == []


def test_targets_that_cannot_be(tmp_path, model):
    with pytest.raises(errors.ExportError, match="existing folder"):
        export(model, tmp_path / "no" / "m.h5")
    with pytest.raises(errors.ExportError, match="which is a folder"):
        export(model, tmp_path)


def test_a_missing_file(tmp_path):
    with pytest.raises(errors.BundleNotFoundError, match="does not exist"):
        bundle.read_bundle(tmp_path / "no.h5")


def test_a_truncated_file(path):
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(errors.BundleFormatError), bundle.read_bundle(path) as b:
        b.weight("d/kernel")


def test_a_foreign_file(tmp_path):
    text, other = tmp_path / "text.h5", tmp_path / "other.h5"
    text.write_text("not HDF5")
    with h5py.File(other, "w") as f:
        f["x"] = 1
    with pytest.raises(errors.BundleFormatError, match="HDF5 cannot open"):
        bundle.read_bundle(text)
    with pytest.raises(errors.BundleFormatError, match="without the group '/kbridge'"):
        bundle.read_bundle(other)


def test_a_newer_major_version(path):
    with h5py.File(path, "r+") as f:
        f["kbridge"].attrs["schema_version"] = "2.0"
    with pytest.raises(errors.SchemaVersionError, match=r"Received: 2\.0"):
        bundle.read_bundle(path)


def test_a_newer_minor_version_is_read(path):
    with h5py.File(path, "r+") as f:
        f["kbridge"].attrs["schema_version"] = "1.9"
    bundle.read_bundle(path).close()


def test_a_changed_weight(path):
    with h5py.File(path, "r+") as f:
        spec = json.loads(bytes(f["kbridge/spec"][()]))
        f[spec["weights"]["d/kernel"]["path"]][0, 0] += 1
    with bundle.read_bundle(path) as b, pytest.raises(errors.DigestMismatchError, match="d/kernel"):
        b.weight("d/kernel")


def test_a_changed_document(path):
    with h5py.File(path, "r+") as f:
        f["kbridge/spec"][3] = 0x20
    with pytest.raises(errors.DigestMismatchError, match="/kbridge/spec"):
        bundle.read_bundle(path)


@pytest.mark.parametrize("kind", ["soft", "external", "storage"])
def test_what_points_out_of_the_file_is_refused(path, tmp_path, kind):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"\0" * 64)
    with h5py.File(path, "r+") as f:
        if kind == "soft":
            f["kbridge/link"] = h5py.SoftLink("/model_weights")
        elif kind == "external":
            f["kbridge/link"] = h5py.ExternalLink(str(secret), "/")
        else:
            f.create_dataset("kbridge/link", (64,), "u1", external=[(str(secret), 0, 64)])
    with pytest.raises(errors.BundleFormatError, match="/kbridge/link"):
        bundle.read_bundle(path)


def test_a_source_that_is_not_there(tmp_path):
    with pytest.raises(errors.BundleNotFoundError):
        export(tmp_path / "no.keras", tmp_path / "m.h5")


@pytest.mark.slow
def test_a_large_model_takes_little_more_time_and_memory_than_its_arrays(tmp_path):
    """VGG16, 553 MB: at most 1.5 times what h5py takes, and no second copy of the weights."""
    import psutil

    model = keras.applications.VGG16(weights=None)
    golden = np.zeros((1, 224, 224, 3), "float32")
    model(golden)
    export(model, tmp_path / "warm.h5", sample=golden)
    arrays = [keras.ops.convert_to_numpy(v) for v in model.variables]

    def again():
        export(model, tmp_path / "m.h5", sample=golden)

    def plain():
        # NB: a whole new file takes the place of the old one, as an export's does: both are there
        # at once, so their pages are others, and those of the old one are freed.
        with h5py.File(tmp_path / "new.h5", "w") as f:
            for i, array in enumerate(arrays):
                f.create_dataset(str(i), data=array)
        with open(tmp_path / "new.h5", "rb+") as f:
            os.fsync(f.fileno())
        os.replace(tmp_path / "new.h5", tmp_path / "plain.h5")

    def seconds(work):
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    # NB: in turn, and often: a virtual machine that has given free memory back to its host takes
    # four times as long to write where the pages of the file have to come from there again.
    rounds = [(seconds(plain), seconds(again)) for _ in range(8)]
    wanted, took = map(min, zip(*rounds, strict=True))
    print(f"h5py {wanted:.2f} s, export {took:.2f} s, of {np.round(rounds, 2).tolist()}")
    resident = psutil.Process().memory_info().rss
    again()
    grown = psutil.Process().memory_info().rss - resident
    largest = max(a.nbytes for a in arrays)
    print(f"largest tensor {largest >> 20} MB, memory grown by {grown >> 20} MB")
    assert took <= 1.5 * wanted
    assert grown <= 1.1 * largest
