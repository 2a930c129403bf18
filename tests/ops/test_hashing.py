"""Hashes, which have layers and no functions of keras.ops."""

import keras
from harness import Case, integers, parity_test

WIDE = integers(4, 6, dtype="int64", low=-(2**62), high=2**62)
SMALL = integers(4, 6, dtype="int64", low=-99, high=999)
HASHING = keras.layers.Hashing(num_bins=1013)
CROSSING = keras.layers.HashedCrossing(num_bins=1013)

CASES = [
    Case("hashing long", HASHING, (WIDE,)),
    Case("hashing short", HASHING, (SMALL,)),
    Case("hashing salted", keras.layers.Hashing(num_bins=1013, salt=(3, 4)), (WIDE,)),
    Case("crossing", lambda x, y: CROSSING((x, y)), (WIDE[:, :1], SMALL[:, :1])),
]
test_parity = parity_test(CASES, __name__)
