"""Operations that move elements: said in flips, transpositions, reshapes and concatenations."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.ops import einops, image, math
from keras.src.ops import numpy as knp

from kbridge.export.normalise import positive_axis
from kbridge.export.registry import lowers
from kbridge.export.trace import UnsupportedCall


@lowers(einops.Rearrange)
def lower_rearrange(op: Any, tensor: Any, pattern: str, **lengths: int) -> Any:
    """A reshape into all axes, a transposition, and a reshape into the axes asked for."""
    given, wanted = (side.strip() for side in pattern.split("->"))
    before, after = _axes(given), _axes(wanted)
    sizes: dict[str, int] = dict(lengths)
    for names, size in zip(before, tensor.shape, strict=True):
        unknown = [name for name in names if name not in sizes]
        known = int(np.prod([sizes[name] for name in names if name in sizes]))
        sizes |= dict.fromkeys(unknown, size // known)
    flat = [name for names in before for name in names]
    order = [flat.index(name) for names in after for name in names]
    taken_apart = ops.reshape(tensor, [sizes[name] for name in flat])
    shape = [int(np.prod([sizes[name] for name in names])) for names in after]
    return ops.reshape(ops.transpose(taken_apart, order), shape)


def _axes(pattern: str) -> list[list[str]]:
    """The names of each axis: several for one in brackets."""
    groups: list[list[str]] = []
    inside = False
    for word in pattern.replace("(", " ( ").replace(")", " ) ").split():
        if word in "()":
            inside = word == "("
            groups += [[]] if inside else []
        elif inside:
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


@lowers(image.CropImages)
def lower_crop_images(op: Any, images: Any) -> Any:
    """A window; two of the numbers along an axis tell the third."""
    first = _first_of_image(op, images)
    key = [slice(None)] * len(images.shape)
    sides = (
        (op.top_cropping, op.bottom_cropping, op.target_height),
        (op.left_cropping, op.right_cropping, op.target_width),
    )
    for axis, (before, after, size) in enumerate(sides, first):
        whole = images.shape[axis]
        if before is None:
            before = whole - size - after
        stop = whole - after if size is None else before + size
        key[axis] = slice(before, stop)
    return images[tuple(key)]


@lowers(image.PadImages)
def lower_pad_images(op: Any, images: Any) -> Any:
    """Zeros around; two of the numbers along an axis tell the third."""
    first = _first_of_image(op, images)
    widths = [[0, 0] for _ in images.shape]
    sides = (
        (op.top_padding, op.bottom_padding, op.target_height),
        (op.left_padding, op.right_padding, op.target_width),
    )
    for axis, (before, after, size) in enumerate(sides, first):
        whole = images.shape[axis]
        if before is None:
            before = size - after - whole
        if after is None:
            after = size - before - whole
        widths[axis] = [before, after]
    return ops.pad(images, widths)


def _first_of_image(op: Any, images: Any) -> int:
    """The axis of the height."""
    return len(images.shape) - (3 if op.data_format == "channels_last" else 2)


@lowers(knp.Rot90)
def lower_rot90(op: Any, array: Any) -> Any:
    """Quarter turns are flips and transpositions."""
    first, second = (positive_axis(axis, len(array.shape)) for axis in op.axes)
    turns = op.k % 4
    if turns == 0:
        return array
    if turns == 1:
        return ops.swapaxes(ops.flip(array, second), first, second)
    if turns == 3:
        return ops.flip(ops.swapaxes(array, first, second), second)
    if array.shape[first] != array.shape[second] and keras.backend.backend() == "tensorflow":
        raise UnsupportedCall(
            "Keras on TensorFlow mixes up the elements where it makes half a turn of what is not "
            "square",
            "Flip both axes (keras.ops.flip), which is the same turn.",
        )
    return ops.flip(ops.flip(array, first), second)


@lowers(knp.Fliplr)
def lower_fliplr(op: Any, x: Any) -> Any:
    """Along the second axis."""
    return ops.flip(x, 1)


@lowers(knp.Flipud)
def lower_flipud(op: Any, x: Any) -> Any:
    """Along the first axis."""
    return ops.flip(x, 0)


@lowers(knp.Diagflat)
def lower_diagflat(op: Any, x: Any) -> Any:
    """A matrix with all elements on a diagonal."""
    return ops.diag(ops.reshape(x, (-1,)), op.k)


@lowers(knp.Hsplit)
def lower_hsplit(op: Any, x: Any) -> Any:
    """Along the second axis; along the only one of a vector."""
    return ops.split(x, op.indices_or_sections, axis=min(1, len(x.shape) - 1))


@lowers(knp.Vsplit)
def lower_vsplit(op: Any, x: Any) -> Any:
    """Along the first axis."""
    return ops.split(x, op.indices_or_sections, axis=0)


@lowers(knp.Dsplit)
def lower_dsplit(op: Any, x: Any) -> Any:
    """Along the third axis."""
    return ops.split(x, op.indices_or_sections, axis=2)


@lowers(knp.ArraySplit)
def lower_array_split(op: Any, x: Any) -> Any:
    """Parts that need not be equal: the first ones have one more."""
    parts, axis = op.indices_or_sections, positive_axis(op.axis, len(x.shape))
    if isinstance(parts, int):
        size, larger = divmod(x.shape[axis], parts)
        sizes = [size + 1] * larger + [size] * (parts - larger)
        parts = list(accumulate(sizes))[:-1]
    return ops.split(x, parts, axis=axis)


@lowers(knp.Append)
def lower_append(op: Any, x1: Any, x2: Any) -> Any:
    """One after the other; as vectors where no axis is named."""
    parts = [ops.convert_to_tensor(x1), ops.convert_to_tensor(x2)]
    if op.axis is None:
        return ops.concatenate([ops.reshape(x, (-1,)) for x in parts], axis=0)
    return ops.concatenate(parts, axis=op.axis)


@lowers(knp.Hstack)
def lower_hstack(op: Any, xs: Any) -> Any:
    """Along the second axis; along the only one of vectors."""
    return ops.concatenate(list(xs), axis=min(1, len(xs[0].shape) - 1))


@lowers(knp.Vstack)
def lower_vstack(op: Any, xs: Any) -> Any:
    """Along the first axis; vectors are rows."""
    rows = [ops.expand_dims(x, 0) if len(x.shape) == 1 else x for x in xs]
    return ops.concatenate(rows, axis=0)


@lowers(knp.Dstack)
def lower_dstack(op: Any, xs: Any) -> Any:
    """Along the third axis; vectors are rows of depth 1."""
    deep = [ops.expand_dims(x, 0) if len(x.shape) == 1 else x for x in xs]
    deep = [ops.expand_dims(x, 2) if len(x.shape) == 2 else x for x in deep]
    return ops.concatenate(deep, axis=2)


@lowers(knp.Array)
def lower_array(op: Any, x: Any) -> Any:
    """The same, perhaps of another dtype."""
    return ops.cast(x, op.dtype) if op.dtype else x


@lowers(knp.Size)
def lower_size(op: Any, x: Any) -> Any:
    """A number: sizes are known during the trace."""
    return int(np.prod(x.shape))


@lowers(knp.Ndim)
def lower_ndim(op: Any, x: Any) -> Any:
    """A number, as code that asks for a rank decides by it; Keras would give a tensor."""
    return len(x.shape)


@lowers(knp.Kron)
def lower_kron(op: Any, x1: Any, x2: Any) -> Any:
    """Each element of one times the whole of the other."""
    x1, x2 = ops.convert_to_tensor(x1), ops.convert_to_tensor(x2)
    rank = max(len(x1.shape), len(x2.shape))
    a, b = ((1,) * (rank - len(x.shape)) + tuple(x.shape) for x in (x1, x2))
    wide = ops.multiply(
        ops.reshape(x1, [size for n in a for size in (n, 1)]),
        ops.reshape(x2, [size for n in b for size in (1, n)]),
    )
    return ops.reshape(wide, [n * m for n, m in zip(a, b, strict=True)])


@lowers(math.ExtractSequences)
def lower_extract_sequences(op: Any, x: Any) -> Any:
    """Windows are looked up by their places."""
    count = 1 + (x.shape[-1] - op.sequence_length) // op.sequence_stride
    starts = op.sequence_stride * np.arange(count)[:, None]
    return ops.take(x, (starts + np.arange(op.sequence_length)).astype("int32"), axis=-1)
