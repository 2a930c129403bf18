"""Operations of `keras.ops` that the JVM has no counterpart for: refused by name at the export."""

from __future__ import annotations

from kbridge.export.graph import GraphBuilder, Value
from kbridge.export.normalise import OpCall, normalises
from kbridge.export.trace import UnsupportedCall

_ADVICE = (
    "Compute it in Python, in front of the model or behind it, or write an operation of your own "
    "in Java (docs/custom-layers.md)."
)


@normalises(
    *("CholeskyInverse", "Eig", "Eigh", "JVP", "Lstsq", "LuFactor", "MatrixRank", "Pinv", "Qr"),
    *("SVD", "Slogdet", "CTCDecode", "Fold", "Unfold", "IFFT2", "IRFFT", "ISTFT"),
    *("AffineTransform", "ElasticTransform", "GaussianBlur", "MapCoordinates"),
    *("PerspectiveTransform", "SSIM", "ScaleAndTranslate", "SobelEdges"),
    *("Argpartition", "Correlate", "Gcd", "Geomspace", "Histogram", "I0", "Lcm", "Linspace"),
    *("Logspace", "Nextafter", "Signbit", "View"),
    *("Polar", "ViewAsComplex", "ViewAsReal"),
)
def refuse(call: OpCall, b: GraphBuilder) -> list[Value]:
    """No runtime has these."""
    raise UnsupportedCall(f"keras.ops has {call.name}, and the JVM has no counterpart", _ADVICE)


@normalises("Bincount", "Nonzero", "Unique")
def refuse_sizes(call: OpCall, b: GraphBuilder) -> list[Value]:
    """How much they answer depends on values."""
    raise UnsupportedCall(
        f"the size of what {call.name} answers depends on the values that it is given",
        "Use operations whose sizes are known: keras.ops.where with two tensors, one_hot, a mask.",
    )
