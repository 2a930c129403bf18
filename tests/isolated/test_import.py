"""Importing kbridge starts nothing; each test is a process of its own."""

import json

import pytest


def test_import_is_cheap(run_python):
    done = run_python(
        """
import json, sys, threading
import kbridge
print(json.dumps([sorted(sys.modules), threading.active_count(), dir(kbridge)]))
"""
    )
    modules, threads, names = json.loads(done.stdout)
    heavy = {"jpype", "keras", "tensorflow", "torch", "jax", "h5py", "numpy", "rich", "typer"}
    assert heavy.isdisjoint(modules)
    assert threads == 1
    assert {"export", "load", "check", "lowers", "JvmModel", "KBridgeError"} <= set(names)


@pytest.mark.parametrize("name", ["KBridgeError", "InvalidInputError", "__version__", "lowers"])
def test_light_names_load_no_jvm(run_python, name):
    run_python(
        f"""
import sys, kbridge
assert kbridge.{name}
assert "jpype" not in sys.modules and "h5py" not in sys.modules
"""
    )


def test_load_starts_nothing_by_itself(run_python):
    run_python(
        """
import kbridge
kbridge.load, kbridge.JvmModel, kbridge.export
from kbridge.jvm import host
assert not host.is_started() and host.info() is None
import jpype
assert not jpype.isJVMStarted()
"""
    )


def test_export_can_be_called_after_its_modules_were_imported(run_python):
    run_python(
        """
import kbridge
from kbridge.export import registry
from kbridge.export.registry import lowers
import kbridge.export.registry as again
assert callable(kbridge.export) and kbridge.lowers is lowers and again is registry
try:
    kbridge.export(object(), "x.h5")
except kbridge.KBridgeError as e:
    print(e)
else:
    raise SystemExit("an object that is no model was exported")
"""
    )


def test_unknown_name(run_python):
    run_python(
        """
import kbridge
try:
    kbridge.nothing
except AttributeError as e:
    assert str(e) == "module 'kbridge' has no attribute 'nothing'"
else:
    raise SystemExit("no error")
"""
    )
