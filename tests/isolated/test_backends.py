"""TensorFlow, JAX and PyTorch in one process with the JVM, loaded before it or after it."""

import numpy as np
import pytest

BACKENDS = {
    "tensorflow": """
import tensorflow as tf
def native(a):
    return tf.linalg.matmul(a, a, transpose_b=True).numpy()
def tensor(a):
    return tf.constant(a)
def low(a):
    return tf.cast(tf.constant(a), tf.bfloat16)
""",
    "jax": """
import jax.numpy as jnp
def native(a):
    return jnp.asarray(jnp.matmul(a, a.T, precision="highest"))
def tensor(a):
    return jnp.asarray(a)
def low(a):
    return jnp.asarray(a, jnp.bfloat16)
""",
    "torch": """
import torch
def native(a):
    return (torch.from_numpy(a) @ torch.from_numpy(a).T).numpy()
def tensor(a):
    return torch.tensor(a, requires_grad=True)
def low(a):
    return torch.tensor(a, dtype=torch.bfloat16)
""",
}

JVM = """
import kbridge, numpy as np
model = kbridge.load({path!r})
low_model = kbridge.load({low_path!r})
"""

WORK = """
rng = np.random.default_rng(0)
# Large enough for all sides to use their threads.
a = rng.normal(size=(512, 512)).astype(np.float32)
want = a.astype(np.float64) @ a.T.astype(np.float64)
kernel = np.load({kernel!r})
jvm_want = a.astype(np.float64) @ kernel.astype(np.float64)
for _ in range(3):
    np.testing.assert_allclose(np.asarray(native(a)), want, rtol=0, atol=5e-3)
    for x in (a, tensor(a)):
        got = model.predict(x, batch_size=512, verbose=0)
        np.testing.assert_allclose(got, jvm_want, rtol=0, atol=5e-3)
y = low_model.predict(low(a), verbose=0)
assert y.dtype.name == "bfloat16"
np.testing.assert_array_equal(y, np.asarray(a, y.dtype))
print("done")
"""


@pytest.fixture
def paths(tmp_path, identity_bundle):
    """Gives a matrix product (which uses BLAS and OpenMP in the JVM) and a bfloat16 identity."""
    keras = pytest.importorskip("keras")
    import kbridge

    native = keras.Sequential([keras.Input((512,)), keras.layers.Dense(512, use_bias=False)])
    kbridge.export(native, tmp_path / "product.h5")
    np.save(tmp_path / "kernel.npy", np.asarray(native.weights[0].numpy()))
    low = identity_bundle([("x", (None, 512), "bfloat16")])
    return {
        "path": str(tmp_path / "product.h5"),
        "low_path": str(low),
        "kernel": str(tmp_path / "kernel.npy"),
    }


# NB: `test_all_three` has all of them before the JVM.
ORDERS = [
    pytest.param(
        backend,
        order,
        marks=pytest.mark.slow if order == "backend first" and backend != "tensorflow" else (),
        id=f"{backend}-{order}",
    )
    for backend in BACKENDS
    for order in ("backend first", "JVM first")
]


@pytest.mark.parametrize(("backend", "order"), ORDERS)
def test_together(run_python, paths, backend, order):
    # NB: the JVM's first prediction loads its native libraries, libgomp among them.
    used = JVM.format(**paths) + "model.predict(np.zeros((512, 512)), batch_size=512)\n"
    setup = BACKENDS[backend] + "import numpy as np\nnative(np.ones((512, 512), np.float32))\n"
    script = setup + used if order == "backend first" else used + setup
    assert run_python(script + WORK.format(**paths)).stdout.strip().endswith("done")


def test_all_three(run_python, paths):
    script = "import numpy as np\n"
    for setup in BACKENDS.values():
        script += setup + "native(np.ones((512, 512), np.float32))\n"
    script += JVM.format(**paths) + WORK.format(**paths)
    assert run_python(script).stdout.strip().endswith("done")
