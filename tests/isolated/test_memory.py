"""Memory does not grow with use; measured in a process of its own."""

import numpy as np
import pytest

import kbridge

RSS = '''
import gc
import numpy as np, kbridge

def rss():
    """Megabytes in memory, without mapped files: the system takes those back when it likes."""
    gc.collect()
    with open("/proc/self/status", encoding="ascii") as f:
        (line,) = (line for line in f if line.startswith("RssAnon:"))
    return int(line.split()[1]) >> 10
'''


@pytest.mark.slow
def test_predictions_do_not_grow_the_process(run_python, identity_bundle):
    path = str(identity_bundle([("x", (None, 1024), "float32")]))
    done = run_python(
        RSS
        + f"""
with kbridge.load({path!r}) as model:
    def run(times):
        for i in range(times):
            # A fresh megabyte each time, on both sides: 2000 of them would be 4 GB.
            x = np.full((256, 1024), i, np.float32)
            assert model.predict_on_batch(x)[7, 7] == i
            if i % 10 == 0:
                assert model.predict(x, batch_size=100, verbose=0)[255, 7] == i
    run(300)
    before = rss()
    run(2000)
    print(before, rss())
""",
        timeout=300,
    )
    before, after = map(int, done.stdout.split())
    assert after - before < 64, f"{before} MB before, {after} MB after"


@pytest.mark.slow
def test_kept_outputs_are_kept_and_given_back(run_python, identity_bundle):
    path = str(identity_bundle([("x", (None, 1024), "float32")]))
    done = run_python(
        RSS
        + f"""
with kbridge.load({path!r}) as model:
    x = np.ones((256, 1024), np.float32)
    for _ in range(100):
        model.predict_on_batch(x)
    before = rss()
    kept = [model.predict_on_batch(x * i) for i in range(500)]
    full = rss()
    assert all(y[3, 3] == i for i, y in enumerate(kept))
    del kept
    print(before, full, rss())
""",
        timeout=300,
    )
    before, full, after = map(int, done.stdout.split())
    assert full - before > 400  # some of the 500 MB was there already, from the calls before
    assert after - before < 64, f"{before} MB before, {full} MB with outputs, {after} MB after"


@pytest.mark.slow
def test_loading_and_closing_does_not_grow_the_process(run_python, tmp_path):
    pytest.importorskip("keras")
    done = run_python(
        RSS
        + """
import keras
model = keras.Sequential([keras.Input((1024,)), keras.layers.Dense(2048)])
kbridge.export(model, "dense.h5")
x = np.ones((2, 1024), np.float32)

def run(times):
    for _ in range(times):
        with kbridge.load("dense.h5") as model:  # 8 MB of weights
            model.predict(x)

run(30)
before = rss()
run(200)
print(before, rss())
""",
        timeout=300,
    )
    before, after = map(int, done.stdout.split()[-2:])
    assert after - before < 96, f"{before} MB before, {after} MB after"


@pytest.mark.parametrize(
    ("code", "atol"),
    [
        # NB: without code of ours plans are compared in two layouts.
        ("never", 1e-5),
        # NB: rounding errors of two convolutions in tiles, 50 times added up: up to 2e-5 of 16.
        ("always", 3e-5),
    ],
)
def test_weights_are_not_in_memory_twice(run_python, tmp_path, code, atol):
    """While plans are compared that have no weights yet, and while weights are packed."""
    keras = pytest.importorskip("keras")
    x = keras.Input((28, 28, 64))
    y = keras.layers.Conv2D(64, 3, padding="same")(keras.layers.Conv2D(64, 3, padding="same")(x))
    y = keras.layers.Dense(1280)(keras.layers.Flatten()(y))
    model = keras.Model(x, y)
    kernel = np.zeros(model.layers[-1].kernel.shape, np.float32)
    kernel[::1000] = np.random.default_rng(0).normal(size=kernel[::1000].shape)
    model.layers[-1].kernel.assign(kernel)
    kbridge.export(model, tmp_path / "dense.h5")
    samples = np.random.default_rng(1).normal(size=(4, 28, 28, 64)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", x=samples, y=np.asarray(model(samples)))
    done = run_python(
        f"atol = {atol}"
        + """
import re
import numpy as np, kbridge

def status(field):
    with open("/proc/self/status", encoding="ascii") as f:
        return int(re.search(field + r":\\s+(\\d+)", f.read())[1]) >> 10

samples = np.load("samples.npz")
for count in (1, 4):
    with kbridge.load("dense.h5", threads=2) as model:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as f:
            f.write("5")  # the peak from here on
        before = status("VmRSS")
        y = model.predict_on_batch(samples["x"][:count])
        print(status("VmHWM") - before)
    np.testing.assert_allclose(y, samples["y"][:count], rtol=2e-5, atol=atol)
""",
        env={"JAVA_TOOL_OPTIONS": f"-Dio.kbridge.machineCode={code}"},
    )
    weights = kernel.nbytes >> 20
    more = list(map(int, done.stdout.split()))
    assert len(more) == 2
    assert max(more) < 1.75 * weights, f"{more} MB for {weights} MB of weights"
