"""What the benchmarks ran on."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

import kbridge
from kbridge import doctor
from kbridge.jvm import cpu
from kbridge.jvm.java import find_java

ROOT = Path(__file__).resolve().parent.parent


def describe(threads: int) -> dict[str, str]:
    """Returns machine, versions and date, as the report's first table has them.

    Args:
        threads: CPU threads of each engine.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "kbridge": f"{kbridge.__version__}, commit {_commit()}",
        "CPU": f"{doctor.cpu_model()} ({_vectors()}), {os.cpu_count()} cores",
        "memory": f"{memory / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Java": str(find_java().version),
        "ND4J build": cpu.native_choice().classifier,
        "threads of each engine": str(threads),
        "load average at the start": load_average(),
    }


def load_average() -> str:
    """Returns how many threads wanted to run, over 1, 5 and 15 minutes."""
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


def _vectors() -> str:
    flags = cpu.cpu_flags()
    names = {"avx512_bf16": "AVX-512 BF16", "avx512f": "AVX-512", "avx2": "AVX2"}
    return next((name for flag, name in names.items() if flag in flags), "no AVX2")


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
