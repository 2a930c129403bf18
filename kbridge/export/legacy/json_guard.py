"""Refuses configs that name code, files or addresses; decides by allowlist, imports nothing."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import keras

from kbridge.errors import BundleFormatError, Problem, UnsupportedModelError

MAX_JSON = 256 << 20
MAX_DEPTH = 200
MAX_INTEGER = 1 << 63
_MODULES = (
    "keras.layers",
    "keras.losses",
    "keras.metrics",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.dtype_policies",
)
_FUNCTION_MODULES = ("keras.activations", "keras.losses", "keras.metrics", "keras.ops")
_NOT_FUNCTIONS = {"get", "serialize", "deserialize"}
_CODE = {
    "Lambda": "it holds Python bytecode, which would run when the file is opened",
    "TFSMLayer": "it runs a TensorFlow program from another folder",
    "TorchModuleWrapper": "it holds a pickled PyTorch module, which would run when opened",
    "JaxLayer": "it holds code of JAX",
    "FlaxLayer": "it holds code of Flax",
    "__lambda__": "it holds Python bytecode, which would run when the file is opened",
    "__typespec__": "it names a TensorFlow type by module",
}
_MARKERS = {
    "__keras_tensor__",
    "__tensor__",
    "__numpy__",
    "__bytes__",
    "__ellipsis__",
    "__slice__",
    "__tuple__",
    "TensorShape",
}
_MODELS = {"Sequential", "Functional", "Model"}
_FILE_KEYS = {"vocabulary", "vocabulary_file", "filepath", "file_path", "filename", "path", "url"}
_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*://")
_PATH = re.compile(r"^(/|~/|\\\\|[A-Za-z]:[\\/])|(^|[\\/])\.\.([\\/]|$)|\0")
_TRUST = "pass allow_lambda=True if you trust the file, or write a Layer subclass and save again"


def decode_json(data: bytes | str, what: str) -> Any:
    """Decodes JSON of bounded size, depth and numbers.

    Args:
        data: The stored text.
        what: What it is, for messages.

    Returns:
        The decoded value.

    Raises:
        BundleFormatError: If it is no JSON or out of bounds.
    """
    if len(data) > MAX_JSON:
        raise BundleFormatError(
            f"Expected {what} of at most {MAX_JSON} bytes. Received: {len(data)}. "
            "Save the model again with Keras."
        )
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise BundleFormatError(
            f"Expected {what} to be JSON. Received: {data[:60]!r}... ({error}). "
            "The file is damaged: get it again."
        ) from error
    if _depth(value) > MAX_DEPTH:
        raise BundleFormatError(
            f"Expected {what} nested at most {MAX_DEPTH} levels deep. Received: a deeper one. "
            "Keras writes no such files."
        )
    return value


def _integer(text: str) -> int:
    value = int(text) if len(text) < 25 else MAX_INTEGER
    if abs(value) >= MAX_INTEGER:
        raise ValueError(f"the integer {text[:30]} is out of range")
    return value


def _depth(value: Any) -> int:
    deepest, pending = 0, [(value, 1)]
    while pending:
        item, depth = pending.pop()
        deepest = max(deepest, depth)
        if depth > MAX_DEPTH:
            return depth
        if isinstance(item, dict):
            pending += [(v, depth + 1) for v in item.values()]
        elif isinstance(item, list):
            pending += [(v, depth + 1) for v in item]
    return deepest


def check_strings(value: Any) -> list[Problem]:
    """Returns problems for every path and address in a config of any dialect."""
    return _Check({}, False, classes=False).run(value)


def check_config(value: Any, custom_objects: Mapping[str, Any], allow_lambda: bool) -> None:
    """Checks a Keras 3 config, as `.keras` files have it.

    Args:
        value: The decoded config.
        custom_objects: What the caller lets the file name.
        allow_lambda: Whether Lambda layers are accepted.

    Raises:
        UnsupportedModelError: With everything that is refused.
    """
    problems = _Check(custom_objects, allow_lambda, classes=True).run(value)
    if problems:
        raise UnsupportedModelError(problems)


class _Check:
    def __init__(self, custom_objects: Mapping[str, Any], allow_lambda: bool, classes: bool):
        self.custom_objects, self.allow_lambda = custom_objects, allow_lambda
        self.classes = classes
        self.problems: list[Problem] = []

    def run(self, value: Any) -> list[Problem]:
        self.visit(value, "", "model")
        return self.problems

    def refuse(self, path: str, class_name: str, reason: str, advice: str) -> None:
        problem = Problem(path or "model", class_name, reason, advice)
        if problem not in self.problems:
            self.problems.append(problem)

    def visit(self, value: Any, path: str, class_name: str) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("class_name"), str):
                name = value["class_name"]
                path, class_name = _child(path, value), name
                if self.classes:
                    self.check_class(value, path)
                if name in ("__lambda__", "Lambda") and self.allow_lambda:
                    return
                self.check_name(value, path, name)
            for key, item in value.items():
                if key in _FILE_KEYS and isinstance(item, str) and item:
                    self.refuse(
                        path,
                        class_name,
                        f"its '{key}' names a file or address: {item!r}",
                        "put the contents into the model before saving it",
                    )
                self.visit(item, path, class_name)
        elif isinstance(value, list):
            for item in value:
                self.visit(item, path, class_name)
        elif isinstance(value, str) and (_ADDRESS.search(value) or _PATH.search(value)):
            self.refuse(
                path,
                class_name,
                f"it holds a path or address: {value[:80]!r}",
                "a model file has no business naming places; remove it and save again",
            )

    def check_name(self, value: dict, path: str, class_name: str) -> None:
        config = value.get("config")
        names = [value.get("name"), config.get("name") if isinstance(config, dict) else None]
        for name in names:
            if isinstance(name, str) and ("\\" in name or len(name) > 1024):
                self.refuse(
                    path,
                    class_name,
                    f"the name {name[:40]!r} is a path",
                    "rename it and save again",
                )

    def check_class(self, value: dict, path: str) -> None:
        name, module = value["class_name"], value.get("module")
        registered = value.get("registered_name")
        for key in (registered, name):
            if isinstance(key, str) and (key in self.custom_objects or key.startswith("kbridge>")):
                return
        if name in _CODE:
            if not (self.allow_lambda and name in ("Lambda", "__lambda__")):
                advice = _TRUST if name in ("Lambda", "__lambda__") else "use Keras layers instead"
                self.refuse(path, name, _CODE[name], advice)
            return
        if name in _MARKERS:
            return
        if name == "function":
            self.check_function(value, path)
        elif not is_known_class(module, name) or registered not in (None, name):
            self.refuse(
                path,
                name,
                f"'{module}.{name}' (registered as {registered!r}) is not one of Keras's classes",
                f"pass custom_objects={{'{registered or name}': ...}} with the class",
            )

    def check_function(self, value: dict, path: str) -> None:
        name = value.get("config")
        if isinstance(name, str) and (name in self.custom_objects or name.startswith("kbridge>")):
            return
        known = isinstance(name, str) and name in known_functions()
        module = value.get("module")
        if not known or module not in ("builtins", None, *_FUNCTION_MODULES):
            self.refuse(
                path,
                f"function {name}",
                f"'{module}.{name}' is not one of Keras's functions",
                f"pass custom_objects={{'{name}': ...}} with the function",
            )


def _child(path: str, value: dict) -> str:
    config = value.get("config")
    name = value.get("name") or (config.get("name") if isinstance(config, dict) else None)
    name = name if isinstance(name, str) else value["class_name"]
    return f"{path}/{name}" if path else name


def is_known_class(module: Any, name: str) -> bool:
    """Whether a (module, class) pair is one of Keras's own that holds no code."""
    if module in ("keras", "keras.models") and name in _MODELS:
        return True
    if (module, name) in _public_classes():
        return True
    if module is None:  # NB: HDF5 files of Keras 3 name layers and operations without a module
        return name in _MODELS or name in _public_names() or operation_class(name) is not None
    if not isinstance(module, str) or not module.startswith("keras.src."):
        return False
    # NB: looked up among modules that are loaded already; nothing is imported for a file.
    found = vars(sys.modules[module]).get(name) if module in sys.modules else None
    if not inspect.isclass(found) or found.__module__ != module or name in _CODE:
        return False
    if issubclass(found, keras.Model):
        return name in _MODELS
    if module.startswith("keras.src.ops.") and issubclass(found, keras.Operation):
        return True
    return found in _public_objects()


@lru_cache(maxsize=1)
def _public_classes() -> frozenset:
    pairs = set()
    for module in _MODULES:
        for name, found in vars(_module(module)).items():
            if inspect.isclass(found) and name not in _CODE:
                pairs.add((module, name))
    pairs |= {("keras", name) for name in ("DTypePolicy", "Variable") if name == "DTypePolicy"}
    return frozenset(pairs)


@lru_cache(maxsize=1)
def _public_names() -> frozenset:
    return frozenset(name for _, name in _public_classes())


def operation_class(name: str) -> type | None:
    """Returns the Keras operation class of a name, from modules of `keras.ops` alone."""
    for module_name in ("numpy", "nn", "core", "math", "linalg", "image"):
        found = vars(sys.modules[f"keras.src.ops.{module_name}"]).get(name)
        if inspect.isclass(found) and issubclass(found, keras.Operation):
            return found
    return None


@lru_cache(maxsize=1)
def _public_objects() -> frozenset:
    return frozenset(
        vars(_module(module))[name] for module, name in _public_classes() if module != "keras"
    )


@lru_cache(maxsize=1)
def known_functions() -> frozenset:
    """Returns names of the functions a config may give: activations, losses, metrics."""
    names = set()
    for module in _FUNCTION_MODULES[:3]:
        for name, found in vars(_module(module)).items():
            if inspect.isfunction(found) and name not in _NOT_FUNCTIONS:
                names.add(name)
    return frozenset(names)


def _module(name: str) -> Any:
    value = keras
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value
