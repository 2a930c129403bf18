"""How long an export takes, against writing the same numbers with h5py."""
