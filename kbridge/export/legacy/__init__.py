"""Reads model files of Keras 1, 2 and 3 into live Keras 3 models.

The pieces, in the order a file passes through them:

- `hdf5_guard`, `zip_guard`, `json_guard`: what a file may contain at all. Nothing is built before
  they agree.
- `graph`: turns a Keras 1, 2 or 3 configuration into layers and wires them.
- `registry` and the `layers_*` modules: one converter per old layer class.
- `objects`: initializers, regularizers, constraints, activations, dtype policies.
- `weights`: reads the stored arrays in the order the old version wrote them and converts them.
- `training`: losses, metrics, optimizers and optimizer state.
"""
