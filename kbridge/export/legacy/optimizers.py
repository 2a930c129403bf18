"""Optimizers of Keras 1 and 2: settings, and state in the orders old versions wrote it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kbridge.errors import BundleFormatError
from kbridge.export.legacy.context import Context
from kbridge.export.legacy.graph import Built
from kbridge.export.legacy.objects import plain
from kbridge.export.legacy.registry import (
    Config,
    Refused,
    converts_object,
    object_converter,
    weight_converter,
)
from kbridge.export.legacy.weights import Slot, ordered_variables, slots_of

UNNAMED = "state without names, in the order of Keras 2.11 and later"
_IGNORED = ("jit_compile", "is_legacy_optimizer", "name")


def is_standalone(context: Context) -> bool:
    """Whether the writer was Keras before it became part of TensorFlow (1.x to 2.3)."""
    version = context.version or "1"
    numbers = [int(n) for n in re.findall(r"\d+", version)[:2]]
    return "tf" not in version and numbers < [2, 4]


def optimizer_from(config: Config, context: Context) -> Any:
    """Returns the Keras 3 optimizer for a stored optimizer configuration.

    Raises:
        Refused: If Keras 3 has no such optimizer or setting.
    """
    name = str(config.get("class_name", "")).split(">")[-1]
    settings = {k: plain(v) for k, v in (config.get("config") or {}).items() if k not in _IGNORED}
    if name in context.custom_objects:
        return context.custom_objects[name].from_config(settings)
    convert = object_converter("optimizer", name.lower())
    if convert is not None:
        return convert(settings, context)
    found = {n.lower(): c for n, c in vars(keras.optimizers).items() if inspect.isclass(c)}
    cls = found.get(name.lower())
    if cls is None or not issubclass(cls, keras.optimizers.Optimizer):
        raise Refused(f"'{name}' is not one of Keras 3's optimizers", "compile the model in Python")
    return _instance(cls, _common(settings, context))


def _common(settings: Config, context: Context) -> Config:
    settings = dict(settings)
    rate = settings.pop("lr", settings.get("learning_rate", 0.001))
    rate = _schedule(rate) if isinstance(rate, dict) else float(rate)
    decay = settings.pop("decay", None)
    if decay and isinstance(rate, float):
        context.note(f"the optimizer's decay={decay} is an InverseTimeDecay schedule of one step")
        rate = keras.optimizers.schedules.InverseTimeDecay(rate, 1, float(decay))
    settings["learning_rate"] = rate
    if is_standalone(context) and settings.get("clipnorm"):
        context.note("clipnorm of standalone Keras was over all gradients: it is global_clipnorm")
        settings["global_clipnorm"] = settings.pop("clipnorm")
    if settings.get("epsilon", 0) is None:
        settings["epsilon"] = keras.config.epsilon()
    return settings


def _schedule(config: Config) -> Any:
    name = str(config.get("class_name")).split(">")[-1]
    cls = getattr(keras.optimizers.schedules, name, None)
    if not inspect.isclass(cls):
        raise Refused(f"'{name}' is not one of Keras 3's schedules", "compile the model in Python")
    settings = {k: v for k, v in plain(config["config"]).items() if v is not None}
    return cls(**settings)


def _instance(cls: type, settings: Config) -> Any:
    accepted = inspect.signature(cls.__init__).parameters
    unknown = sorted(k for k, v in settings.items() if k not in accepted and v not in (None, False))
    if unknown:
        raise Refused(f"Keras 3's {cls.__name__} has no settings {unknown}", "compile it in Python")
    try:
        return cls(**{k: v for k, v in settings.items() if k in accepted})
    except (TypeError, ValueError) as error:
        raise Refused(
            f"Keras 3's {cls.__name__} does not accept the stored settings: {error}",
            "compile the model in Python",
        ) from error


@converts_object("optimizer", "rmsprop")
def rmsprop(settings: Config, context: Context) -> Any:
    """Standalone Keras added epsilon to the root, Keras 3 adds it under the root."""
    if is_standalone(context):
        context.note(
            "RMSprop: Keras 3 adds epsilon under the square root, the file's Keras beside it"
        )
    return _instance(keras.optimizers.RMSprop, _common(settings, context))


@converts_object("optimizer", "adagrad")
def adagrad(settings: Config, context: Context) -> Any:
    """Standalone Keras started its accumulators at 0."""
    if is_standalone(context):
        settings = {"initial_accumulator_value": 0.0, **settings}
        context.note(
            "Adagrad: Keras 3 adds epsilon under the square root, the file's Keras beside it"
        )
    return _instance(keras.optimizers.Adagrad, _common(settings, context))


@converts_object("optimizer", "nadam")
def nadam(settings: Config, context: Context) -> Any:
    """`schedule_decay` is fixed to 1 in Keras 3; before 2.11 it was 0.004."""
    context.note("Nadam: Keras 3 counts its momentum product per step, older versions per weight")
    decay = settings.pop("schedule_decay", None)
    if decay is None and "decay" in settings and is_standalone(context) is False:
        decay = settings.pop("decay")  # NB: optimizer_v2 stored schedule_decay under this name
    if decay is not None:
        context.note(
            f"Nadam: schedule_decay={decay} does not exist in Keras 3, which uses 1: training goes "
            "on with a slightly other momentum"
        )
    return _instance(keras.optimizers.Nadam, _common(settings, context))


@converts_object("optimizer", "lossscaleoptimizer")
def loss_scale(settings: Config, context: Context) -> Any:
    """The inner optimizer, wrapped again."""
    inner = optimizer_from(settings["inner_optimizer"], context)
    if settings.get("dynamic") is False:
        inner.loss_scale_factor = float(settings["initial_scale"])
        context.note("a fixed loss scale became the optimizer's loss_scale_factor")
        return inner
    kept = {k: settings[k] for k in ("initial_scale", "dynamic_growth_steps") if settings.get(k)}
    return keras.optimizers.LossScaleOptimizer(inner, **kept)


# Per optimizer: the lists of state in Keras 3, in the order old versions created them.
_SLOTS: dict[str, tuple[str, ...]] = {
    "SGD": ("momentums",),
    "RMSprop": ("_velocities", "_momentums", "_average_gradients"),
    "Adagrad": ("_accumulators",),
    "Adadelta": ("_accumulated_grads", "_accumulated_delta_vars"),
    "Adam": ("_momentums", "_velocities", "_velocity_hats"),
    "AdamW": ("_momentums", "_velocities", "_velocity_hats"),
    "Adamax": ("_m", "_u"),
    "Nadam": ("_momentums", "_velocities"),
    "Ftrl": ("_accumulators", "_linears"),
    "Lion": ("_momentums",),
}
# Lists that Keras 2.11 and later created in one loop over the variables, so that they alternate.
_TOGETHER = {"Adam": 2, "AdamW": 2, "Adadelta": 2, "Adamax": 2, "Nadam": 2, "Ftrl": 2}


def restore_state(
    built: Built, names: list[str], arrays: list[np.ndarray], context: Context
) -> None:
    """Gives stored optimizer arrays to the model's optimizer; says in the notes what does not fit.

    Args:
        built: The compiled model.
        names: Stored names.
        arrays: Stored arrays, in the same order.
        context: The reading.
    """
    optimizer = built.layer.optimizer
    optimizer.build(built.layer.trainable_variables)
    try:
        if context.major >= 3:
            pairs = _direct(optimizer, arrays)
        else:
            pairs = _translated(built, names, arrays, context)
        _check_shapes(pairs)
    except BundleFormatError as error:
        context.note(f"the optimizer's state is not restored: {error}")
        return
    for variable, array in pairs:
        variable.assign(array)


Pairs = list[tuple[Any, np.ndarray]]


def _check_shapes(pairs: Pairs) -> None:
    wrong = [(v.path, tuple(v.shape), a.shape) for v, a in pairs if tuple(v.shape) != a.shape]
    if wrong:
        path, expected, received = wrong[0]
        raise BundleFormatError(
            f"expected shape {expected} for {path}, received {received}, and {len(wrong) - 1} more"
        )


def _direct(optimizer: Any, arrays: list[np.ndarray]) -> Pairs:
    if len(arrays) != len(optimizer.variables):
        raise BundleFormatError(
            f"expected {len(optimizer.variables)} arrays, received {len(arrays)}"
        )
    return list(zip(optimizer.variables, arrays, strict=True))


def _translated(
    built: Built, names: list[str], arrays: list[np.ndarray], context: Context
) -> Pairs:
    optimizer = built.layer.optimizer
    kind = type(optimizer).__name__
    if kind not in _SLOTS:
        raise BundleFormatError(f"the order of {kind}'s state in old files is not known")
    iterations, rest = _split_head(arrays, context)
    stored = [pair for child in built.children for pair in _stored_slots(child, context)]
    if not stored:  # NB: archives have no groups with names; their layers follow each other
        every = [slot for slot in slots_of(built, context) if slot.trainable]
        stored = [(every, [""] * sum(slot.trainable for slot in every))]
    slots = [slot for own, _ in stored for slot in own]
    order = _order([name for _, own in stored for name in own], context)
    pairs: Pairs = []
    for attr, group in _groups(kind, names, rest, len(order)):
        group = [array for _, array in sorted(zip(order, group, strict=True), key=lambda p: p[0])]
        pairs += _pairs(optimizer, attr, slots, group, built.layer, context)
    if iterations is not None:
        pairs.append((optimizer.iterations, np.asarray(iterations).astype("int64")))
        if kind == "Nadam":
            steps = np.arange(1, int(iterations) + 1)
            product = np.prod(optimizer.beta_1 * (1.0 - 0.5 * 0.96**steps))
            pairs.append((optimizer._u_product, np.asarray(product, "float32")))
    return pairs


def _stored_slots(built: Built, context: Context) -> Iterator[tuple[list[Slot], list[str]]]:
    """Yields trainable slots and names of their arrays, per group of the file."""
    if built.names:
        slots = [slot for slot in slots_of(built, context) if slot.trainable]
        yield slots, built.names[: sum(slot.trainable for slot in slots)]
        return
    for child in built.children:
        yield from _stored_slots(child, context)


def _order(names: list[str], context: Context) -> list[int]:
    """Returns, for each stored state array, which trainable weight it belongs to.

    NB: until Keras 2.0.5 optimizers went through the weights by name, later by layer.
    """
    numbers = [int(n) for n in re.findall(r"\d+", context.version or "1")[:3]]
    if numbers >= [2, 0, 6]:
        return list(range(len(names)))
    if len(set(names)) != len(names) or any(name.startswith("param_") for name in names):
        raise BundleFormatError("expected weights with names of their own, by which it is ordered")
    return sorted(range(len(names)), key=lambda i: names[i])


def _split_head(arrays: list[np.ndarray], context: Context) -> tuple[Any, list[np.ndarray]]:
    """Splits off the counter and, since 2.11, the learning rate: the scalars in front."""
    count = 0
    while count < min(2, len(arrays)) and arrays[count].ndim == 0:
        count += 1
    if not count:
        context.note("the file does not store the number of training steps: it is 0")
    return (arrays[0] if count else None), arrays[count:]


def _groups(
    kind: str, names: list[str], arrays: list[np.ndarray], count: int
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yields each list of state with one array per stored trainable weight."""
    if count == 0 or len(arrays) % count:
        raise BundleFormatError(
            f"expected a multiple of {count} arrays, one per trainable weight, "
            f"received {len(arrays)}"
        )
    attrs = _SLOTS[kind]
    tokens = _tokens(names[len(names) - len(arrays) :])
    if tokens:
        kinds = list(dict.fromkeys(tokens))
        groups = [[a for a, t in zip(arrays, tokens, strict=True) if t == kind] for kind in kinds]
    else:
        together = _TOGETHER.get(kind, 1) if _alternates(names) else 0
        groups = [arrays[i : together * count : together] for i in range(together)]
        groups += [arrays[i : i + count] for i in range(together * count, len(arrays), count)]
    if any(len(group) != count for group in groups):
        raise BundleFormatError(f"expected {count} arrays of each kind of state")
    yield from zip(attrs, groups, strict=False)


_TOKENS = frozenset(
    "m v vhat u momentum velocity rms mg accumulator linear accum_grad accum_var average_gradient "
    "accumulated_grad accumulated_delta_var".split()
)


def _tokens(names: list[str]) -> list[str]:
    """Returns which kind of state each array is, as TensorFlow's variable names say it.

    Before 2.11 they end with the kind ("Adam/dense/kernel/m:0"), later it is the second part
    ("Adam/m/dense/kernel:0"). Other names say nothing.
    """
    parts = [name.split(":")[0].split("/") for name in names]
    if any(len(part) < 3 for part in parts):
        return []
    for tokens in ([part[-1] for part in parts], [part[1] for part in parts]):
        if set(tokens) <= _TOKENS:
            return tokens
    return []


def _alternates(names: list[str]) -> bool:
    """Whether kinds of state alternate: in archives, which have no names for arrays."""
    return names[1:2] == [UNNAMED]


def _pairs(
    optimizer: Any,
    attr: str,
    slots: list[Slot],
    arrays: list[np.ndarray],
    model: Any,
    context: Context,
) -> Pairs:
    """Pairs optimizer variables with arrays, which have the layout of the stored weights."""
    target = getattr(optimizer, attr, None) or []
    stand_ins = all(array.shape == (1,) for array in arrays)
    if not target:
        if not stand_ins and any(np.any(array) for array in arrays):
            context.note(f"stored {attr.strip('_')} are not used with these optimizer settings")
        return []
    index = {id(v): i for i, v in enumerate(model.trainable_variables)}
    source = iter(arrays)
    pairs: Pairs = []
    for slot in slots:
        own = [next(source) for _ in range(slot.trainable)]
        convert = weight_converter(type(slot.layer).__name__)
        if slot.class_name.startswith("CuDNN"):
            raise BundleFormatError(f"{slot.class_name} has other weights than Keras 3's layer")
        own = convert(own, slot) if convert is not None else own
        variables = [v for v in ordered_variables(slot.layer) if v.trainable]
        pairs += [(target[index[id(v)]], a) for v, a in zip(variables, own, strict=True)]
    return pairs
