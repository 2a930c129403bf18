"""GPUs without a GPU: selection, what the driver says, refusals, and what would be downloaded.

The driver is a small C library with the driver's functions, so that the real code asks it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import kbridge
from kbridge import doctor
from kbridge.jvm import cuda, devices, gpu, jars

DRIVER = r"""
#include <stddef.h>
#include <string.h>
#define DEVICES {devices}
static const char *names[] = {{ {names} "" }};
static const int majors[] = {{ {majors} 0 }}, minors[] = {{ {minors} 0 }};
static const size_t bytes[] = {{ {bytes} 0 }};
int cuInit(unsigned flags) {{ return {code}; }}
int cuDriverGetVersion(int *version) {{ *version = {version}; return 0; }}
int cuDeviceGetCount(int *count) {{ *count = DEVICES; return 0; }}
int cuDeviceGet(int *device, int index) {{ *device = index; return 0; }}
int cuDeviceGetName(char *name, int length, int device) {{
  strncpy(name, names[device], length); return 0;
}}
int cuDeviceTotalMem_v2(size_t *size, int device) {{ *size = bytes[device]; return 0; }}
int cuDeviceGetAttribute(int *value, int attribute, int device) {{
  *value = attribute == 75 ? majors[device] : attribute == 76 ? minors[device] : -1; return 0;
}}
int nvmlInit_v2(void) {{ return 0; }}
int nvmlSystemGetDriverVersion(char *text, unsigned length) {{
  strncpy(text, "{driver}", length); return 0;
}}
int nvmlShutdown(void) {{ return 0; }}
"""

A100 = ("NVIDIA A100-SXM4-40GB", 8, 0, 42 << 30)
ADA = ("NVIDIA L4", 8, 9, 24 << 30)
H100 = ("NVIDIA H100 80GB HBM3", 9, 0, 80 << 30)
K20 = ("Tesla K20", 3, 5, 5 << 30)
SMALL = ("GeForce GTX 1050", 6, 1, 1 << 30)


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Gives a function that puts a driver with some GPUs in place of the machine's."""

    def install(*gpus, version=12020, driver="535.104.05", code=0):
        source, library = tmp_path / "driver.c", tmp_path / "libdriver.so"
        columns = list(zip(*gpus, strict=True)) or [(), (), (), ()]
        quoted = "".join(f'"{name}", ' for name in columns[0])
        majors, minors, sizes = ("".join(f"{n}, " for n in column) for column in columns[1:])
        text = DRIVER.format(
            devices=len(gpus),
            names=quoted,
            majors=majors,
            minors=minors,
            bytes=sizes,
            version=version,
            driver=driver,
            code=code,
        )
        source.write_text(text, encoding="utf-8")
        compiler = shutil.which("gcc")
        if compiler is None:
            pytest.skip("there is no gcc to build a driver with")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
        monkeypatch.setattr(gpu, "_CUDA", str(library))
        monkeypatch.setattr(gpu, "_NVML", str(library))

    return install


@pytest.mark.parametrize(
    ("text", "kind", "index"),
    [
        ("auto", "cpu", 0),
        ("cpu", "cpu", 0),
        ("gpu", "gpu", 0),
        ("gpu:0", "gpu", 0),
        ("gpu:12", "gpu", 12),
    ],
)
def test_devices(text, kind, index):
    assert devices.parse(text) == (kind, index)


@pytest.mark.parametrize(
    "text", ["", "GPU", "gpu:", "gpu:-1", "gpu: 1", "cuda", "gpu:0,1", None, 0]
)
def test_what_is_no_device(text):
    with pytest.raises(kbridge.OptionError, match="Expected device to be one of 'auto', 'cpu'"):
        devices.parse(text)


def test_what_the_driver_says(driver):
    driver(A100, H100)
    said = gpu.probe()
    assert said.detail == "NVIDIA driver 535.104.05 for CUDA 12.2"
    assert [str(found) for found in said.gpus] == [
        "NVIDIA A100-SXM4-40GB, compute capability 8.0, 45.1 GB",
        "NVIDIA H100 80GB HBM3, compute capability 9.0, 85.9 GB",
    ]
    assert gpu.refusal(said, 0) is None


@pytest.mark.parametrize(
    ("gpus", "options", "index", "reason"),
    [
        ([], {}, 0, r"driver 535\.104\.05 sees no device"),
        ([A100], {"code": 100}, 0, r"sees no device \(CUDA_VISIBLE_DEVICES is '"),
        ([A100], {"code": 804}, 0, r"gives error 804 \(cuInit\)"),
        ([A100], {"version": 10020}, 0, "needs a driver for CUDA 11"),
        ([A100], {}, 1, "there is no gpu:1: gpu:0 is NVIDIA A100"),
        ([H100], {}, 0, "compute capability 9.0.*nothing that the driver could compile"),
        ([K20], {}, 0, "compute capability 3.5.*machine code for 3.7, 5.0"),
        ([SMALL], {}, 0, "takes most of 2.1 GB"),
        ([A100, H100], {}, 1, "H100"),
    ],
)
def test_refusals(driver, identity_bundle, gpus, options, index, reason):
    driver(*gpus, **options)
    path = identity_bundle([("x", (None, 2), "float32")])
    for host in ("inprocess", "process"):
        with pytest.raises(kbridge.DeviceUnavailableError, match=reason) as caught:
            kbridge.load(path, device=f"gpu:{index}", host=host)
        assert "docs/gpu.md" in str(caught.value)


@pytest.mark.parametrize("which", [A100, ADA, ("T4", 7, 5, 16 << 30), ("K80", 3, 7, 12 << 30)])
@pytest.mark.parametrize("version", [11000, 11060, 13000])
def test_gpus_that_can_be_used(driver, which, version):
    driver(which, version=version)
    assert gpu.refusal(gpu.probe()) is None


def test_no_driver(monkeypatch):
    monkeypatch.setattr(gpu, "_CUDA", "libcuda-that-is-not-there.so.1")
    with pytest.raises(kbridge.DeviceUnavailableError, match="there is no NVIDIA driver"):
        gpu.require()


def test_the_class_path_of_a_gpu_has_one_backend():
    names = [a.coordinate for a in jars.runtime_artifacts("gpu")]
    assert "org.nd4j:nd4j-cuda-11.6:1.0.0-M2.1:linux-x86_64" in names
    assert "org.bytedeco:cuda:11.6-8.3-1.5.7:linux-x86_64" in names
    assert "org.nd4j:nd4j-native-api:1.0.0-M2.1" in names
    backends = [n for n in names if n.startswith(("org.nd4j:nd4j-native:", "org.nd4j:nd4j-cuda"))]
    assert all("cuda" in name for name in backends)
    assert not any("cuda" in a.coordinate for a in jars.runtime_artifacts("cpu"))
    assert len(set(names)) == len(names)


def test_a_gpu_s_libraries_are_never_downloaded_unasked(
    driver, identity_bundle, monkeypatch, tmp_path
):
    driver(A100)
    monkeypatch.setenv("KBRIDGE_MAVEN_REPO", str(tmp_path / "repository"))
    monkeypatch.setenv("KBRIDGE_MAVEN_URL", "http://127.0.0.1:9")
    path = identity_bundle([("x", (None, 2), "float32")])
    with pytest.raises(kbridge.JarsNotFoundError, match="kbridge jars --device gpu") as caught:
        kbridge.load(path, device="gpu", host="process")
    assert "nd4j-cuda-11.6" in str(caught.value)
    assert not (tmp_path / "repository").exists()


def test_the_download_is_asked_for_with_its_size(driver, cli, monkeypatch, tmp_path):
    driver(A100)
    monkeypatch.setenv("KBRIDGE_MAVEN_REPO", str(tmp_path / "repository"))
    monkeypatch.setenv("KBRIDGE_MAVEN_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(cuda, "find", dict)
    told = cli("jars", "--device", "gpu", code=1).stderr
    assert "600.7 MB  org.nd4j:nd4j-cuda-11.6:1.0.0-M2.1:linux-x86_64" in told
    assert "about 751 MB: pip install 'kbridge[cuda]'" in told
    assert "Download 6" in told
    assert not (tmp_path / "repository").exists()
    listed = cli("jars", "--device", "gpu", "--list").output
    assert "missing  org.nd4j:nd4j-cuda-11.6:1.0.0-M2.1:linux-x86_64" in listed


def test_the_driver_is_asked_before_the_user(driver, cli):
    driver(H100)
    told = cli("jars", "--device", "gpu", "--yes", code=5).stderr
    assert "compute capability 9.0" in told
    assert "Download" not in told


@pytest.fixture
def libraries(tmp_path, monkeypatch):
    """Empty files in place of NVIDIA's libraries."""
    for name in cuda.LIBRARIES:
        (tmp_path / "lib").mkdir(exist_ok=True)
        (tmp_path / "lib" / name).write_bytes(b"")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "lib"))
    return tmp_path / "lib"


def test_libraries_are_found_and_passed_on(libraries):
    assert list(cuda.require()) == list(cuda.LIBRARIES)
    found = {
        name: Path("/a/lib" if "cublas" in name else "/b/lib", name) for name in cuda.LIBRARIES
    }
    told = cuda.environment(found)["LD_LIBRARY_PATH"].split(os.pathsep)
    assert told == ["/b/lib", "/a/lib", str(libraries)]


def test_missing_libraries_are_all_named(libraries, monkeypatch):
    (libraries / "libcusparse.so.11").unlink()
    (libraries / "libcublas.so.11").unlink()
    monkeypatch.setattr(cuda, "_FOLDERS", ())
    if any(name.endswith("cu11") for name in _installed()):
        pytest.skip("the wheels of kbridge[cuda] are installed here")
    with pytest.raises(kbridge.DeviceUnavailableError, match=r"kbridge\[cuda\]") as caught:
        cuda.require()
    assert "libcublas.so.11, libcusparse.so.11 are nowhere" in str(caught.value)


def _installed():
    import importlib.metadata

    return [d.metadata["Name"] or "" for d in importlib.metadata.distributions()]


def test_doctor_tells_what_can_be_used(driver, libraries, monkeypatch, tmp_path):
    monkeypatch.setenv("KBRIDGE_MAVEN_REPO", str(tmp_path / "repository"))
    driver(A100, H100)
    found = {f.name: f for f in doctor.examine() if "GPU" in f.name or "CUDA" in f.name}
    assert list(found) == ["GPU gpu:0", "GPU gpu:1", "CUDA libraries", "CUDA backend"]
    assert found["GPU gpu:0"].status == doctor.OK
    assert "compute capability 8.0, 45.1 GB" in found["GPU gpu:0"].found
    assert found["GPU gpu:1"].status == doctor.NOTE
    assert "nothing that the driver could compile" in found["GPU gpu:1"].advice
    assert found["CUDA libraries"].found == str(libraries)
    assert "kbridge jars --device gpu" in found["CUDA backend"].advice


def test_doctor_without_a_gpu_is_content(monkeypatch):
    monkeypatch.setattr(gpu, "_CUDA", "libcuda-that-is-not-there.so.1")
    (found,) = (f for f in doctor.examine() if f.name.startswith("GPU"))
    assert (found.status, found.found.partition(":")[0]) == (doctor.NOTE, "none")


@pytest.mark.parametrize(
    ("device", "code", "message"),
    [
        (
            "gpu",
            "DEVICE_UNAVAILABLE",
            r"CUDA backend \(nd4j-cuda-11.6\).*CpuBackend.*host=\"process\"",
        ),
        ("gpu:3", "DEVICE_UNAVAILABLE", "for device 'gpu:3'"),
        ("tpu", "INVALID_INPUT", "Expected option device to be one of"),
    ],
)
def test_java_says_the_same(jvm, identity_bundle, device, code, message):
    from kbridge.jvm.inprocess import InProcess

    path = str(identity_bundle([("x", (None, 2), "float32")]))
    with pytest.raises(kbridge.KBridgeError, match=message) as caught:
        options = f'{{"device": "{device}"}}'
        InProcess().start("cpu").static("HostModel", "load", path, options)
    assert type(caught.value).code == code
