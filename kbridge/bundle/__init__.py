"""Reading and writing bundles: the HDF5 files specified in docs/bundle-format.md.

`BundleWriter` writes arrays one at a time into a temporary file beside the target and renames it at
the end, so a target is either the old file or a whole new one. `read_bundle` opens a bundle after
checking that nothing in it points outside the file.
"""

from __future__ import annotations

from kbridge.bundle.form import (
    CONSTANTS,
    GOLDEN_INPUTS,
    GOLDEN_OUTPUTS,
    PROVENANCE,
    SCHEMA_VERSION,
    SPEC,
    STATES,
    STEP_ARRAYS,
    STEPS,
    TRAINING,
    digest_of,
    stored_array,
    to_json,
)
from kbridge.bundle.reader import Bundle, read_bundle
from kbridge.bundle.writer import BundleWriter

__all__ = [
    "CONSTANTS",
    "GOLDEN_INPUTS",
    "GOLDEN_OUTPUTS",
    "PROVENANCE",
    "SCHEMA_VERSION",
    "SPEC",
    "STATES",
    "STEPS",
    "STEP_ARRAYS",
    "TRAINING",
    "Bundle",
    "BundleWriter",
    "digest_of",
    "read_bundle",
    "stored_array",
    "to_json",
]
