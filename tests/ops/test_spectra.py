"""Fourier transforms."""

from harness import Case, floats, parity_test
from keras import ops

CASES = [
    *[
        Case(
            f"fft {n}",
            lambda re, im: ops.fft((re, im)),
            (floats(2, n), floats(2, n, low=-1)),
            atol=1e-5,
        )
        for n in (1, 8, 12, 7)
    ],
    Case(
        "fft three axes",
        lambda re, im: ops.fft((re, im)),
        (floats(2, 3, 6), floats(2, 3, 6, high=1)),
    ),
    Case("rfft", ops.rfft, (floats(3, 16),), atol=1e-5),
    Case("rfft odd", ops.rfft, (floats(3, 15),), atol=1e-5),
    # TensorFlow's own gradient of this one fails.
    Case(
        "rfft cut",
        lambda x: ops.rfft(x, fft_length=10),
        (floats(3, 16),),
        atol=1e-5,
        gradient="differences",
    ),
    Case("rfft filled", lambda x: ops.rfft(x, fft_length=20), (floats(3, 16),), atol=1e-5),
    *[
        Case(
            f"stft {window}",
            lambda x, window=window: ops.stft(x, 16, 5, 20, window=window),
            (floats(2, 70),),
            atol=1e-5,
        )
        for window in ("hann", "hamming", None)
    ],
    Case(
        "stft not centred",
        lambda x: ops.stft(x, 16, 16, 16, center=False),
        (floats(2, 70),),
        atol=1e-5,
    ),
]
test_parity = parity_test(CASES, __name__)
