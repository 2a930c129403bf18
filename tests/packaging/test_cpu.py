"""Choosing the build of ND4J's machine code for a CPU."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kbridge.errors import DeviceUnavailableError, KBridgeError
from kbridge.jvm import cpu

HASWELL = frozenset("sse4_2 avx avx2 bmi1 bmi2 f16c fma movbe".split())
SKYLAKE_X = HASWELL | frozenset("avx512f avx512bw avx512cd avx512dq avx512vl".split())


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KBRIDGE_ND4J_CLASSIFIER", raising=False)


@pytest.mark.parametrize(
    ("flags", "classifier", "reason"),
    [
        (SKYLAKE_X, "linux-x86_64-onednn-avx512", "AVX512"),
        (SKYLAKE_X - {"avx512vl"}, "linux-x86_64-onednn-avx2", "AVX2"),
        (HASWELL, "linux-x86_64-onednn-avx2", "AVX2"),
        (HASWELL - {"fma"}, "linux-x86_64-onednn", r"no AVX2 \(missing: fma\)"),
        (frozenset(), "linux-x86_64-onednn", "no AVX2"),
    ],
)
def test_best_build_that_fits(flags: frozenset[str], classifier: str, reason: str) -> None:
    choice = cpu.native_choice(flags)
    assert choice.classifier == classifier
    assert re.search(reason, choice.reason)


def test_flags_are_those_all_processors_have(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor: 0\nflags\t: sse avx avx2\n\nprocessor: 1\nflags\t: sse avx\n")
    assert cpu.cpu_flags(file) == {"sse", "avx"}
    file.write_text("processor: 0\n")
    assert cpu.cpu_flags(file) == frozenset()


def test_this_machine_gets_a_build_it_can_run() -> None:
    choice = cpu.native_choice()
    assert next(b for b in cpu.BUILDS if b.classifier == choice.classifier).flags <= cpu.cpu_flags()


def test_another_build_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBRIDGE_ND4J_CLASSIFIER", "linux-x86_64-avx2")
    choice = cpu.native_choice(SKYLAKE_X)
    assert choice == ("linux-x86_64-avx2", "set by KBRIDGE_ND4J_CLASSIFIER")


def test_an_unknown_build_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBRIDGE_ND4J_CLASSIFIER", "linux-avx2")
    with pytest.raises(KBridgeError, match=r"one of linux-x86_64-onednn.*Received: 'linux-avx2'"):
        cpu.native_choice(SKYLAKE_X)


def test_a_build_this_cpu_cannot_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBRIDGE_ND4J_CLASSIFIER", "linux-x86_64-avx512")
    with pytest.raises(KBridgeError, match=r"which needs avx512bw, avx512cd"):
        cpu.native_choice(HASWELL)


def test_another_platform_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu.platform, "machine", lambda: "riscv64")
    with pytest.raises(DeviceUnavailableError, match="Received: Linux on riscv64"):
        cpu.native_choice(HASWELL)
