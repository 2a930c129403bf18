"""What this CPU can do, and which build of ND4J's machine code fits it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple

from kbridge.errors import DeviceUnavailableError, KBridgeError

_AVX2 = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"})
_AVX512 = _AVX2 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


class Build(NamedTuple):
    """One build of ND4J's machine code.

    Attributes:
        classifier: Its Maven classifier.
        flags: CPU flags its code uses without asking (GCC's haswell and skylake-avx512 levels).
    """

    classifier: str
    flags: frozenset[str]


# NB: the oneDNN builds win on every op that takes time. Measured with float32 on 2 cores that have
# AVX-512, ms (oneDNN build / plain build): conv2d NHWC 3x3 56x56x64 0.60 / 6.2, 1x1 56x56x64->256
# 0.4 / 2.0, 7x7 stride 2 224x224x3 0.6 / 6.2; depthwise 3x3 112x112x64 0.14 / 18; matmul 512^3
# 0.6-1.1 / 1.3, 1x2048x1000 0.09-0.20 / 0.34; max pooling 0.08 / 0.47. oneDNN picks its kernels at
# run time: its avx512 and avx2 builds were level, its plain one up to 1.6 times slower. The builds
# without oneDNN are only used when asked for.
BUILDS = (
    Build("linux-x86_64-onednn-avx512", _AVX512),
    Build("linux-x86_64-onednn-avx2", _AVX2),
    Build("linux-x86_64-onednn", frozenset()),
    Build("linux-x86_64-avx512", _AVX512),
    Build("linux-x86_64-avx2", _AVX2),
    Build("linux-x86_64", frozenset()),
)
"""Every build there is for this platform, best first; the first one that fits is taken."""


class NativeChoice(NamedTuple):
    """The chosen build, and why.

    Attributes:
        classifier: Maven classifier of ``nd4j-native``.
        reason: One line for people.
    """

    classifier: str
    reason: str


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Returns the feature flags all processors of this machine share, as Linux names them."""
    lines = [
        line.split(":", 1)[1].split()
        for line in cpuinfo.read_text(encoding="utf-8").splitlines()
        if line.startswith("flags")
    ]
    return frozenset.intersection(*map(frozenset, lines)) if lines else frozenset()


def native_choice(flags: frozenset[str] | None = None) -> NativeChoice:
    """Chooses the build of ``nd4j-native`` for this machine.

    The environment variable ``KBRIDGE_ND4J_CLASSIFIER`` names another one.

    Args:
        flags: CPU flags to choose for, by default those of this machine.

    Returns:
        The build and the reason.

    Raises:
        DeviceUnavailableError: If there is no build for this platform.
        KBridgeError: If ``KBRIDGE_ND4J_CLASSIFIER`` names none.
    """
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise DeviceUnavailableError(
            "Expected a platform that kbridge has machine code for: Linux on x86_64. "
            f"Received: {system} on {machine}. Run kbridge in a Linux x86_64 container, or on "
            "such a machine."
        )
    flags = cpu_flags() if flags is None else flags
    forced = os.environ.get("KBRIDGE_ND4J_CLASSIFIER")
    if forced:
        return _forced(forced, flags)
    build = next(b for b in BUILDS if b.flags <= flags)
    if build.flags:
        level = build.classifier.rsplit("-", 1)[-1].upper()
        return NativeChoice(build.classifier, f"the CPU has {level}; oneDNN builds are fastest")
    missing = ", ".join(sorted(_AVX2 - flags))
    return NativeChoice(build.classifier, f"the CPU has no AVX2 (missing: {missing})")


def _forced(classifier: str, flags: frozenset[str]) -> NativeChoice:
    build = next((b for b in BUILDS if b.classifier == classifier), None)
    if build is None:
        known = ", ".join(b.classifier for b in BUILDS)
        raise KBridgeError(
            f"Expected KBRIDGE_ND4J_CLASSIFIER to be one of {known}. "
            f"Received: {classifier!r}. Unset it to have one chosen for this CPU."
        )
    if not build.flags <= flags:
        missing = ", ".join(sorted(build.flags - flags))
        raise KBridgeError(
            "Expected KBRIDGE_ND4J_CLASSIFIER to name a build that this CPU can run. "
            f"Received: {classifier!r}, which needs {missing}. Unset it to have one chosen."
        )
    return NativeChoice(classifier, "set by KBRIDGE_ND4J_CLASSIFIER")


if __name__ == "__main__":
    # For the build, which tests against the same machine code: python3 -m kbridge.jvm.cpu
    print(native_choice().classifier)
