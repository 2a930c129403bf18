"""Every parity case with a batch of one, for ND4J takes a matrix of one row for a vector.

What was wrong has cases of its own in the families.
"""

import pytest
from gradients import check_gradients
from harness import check, families

ALONE = [
    pytest.param(one, id=f"{family.removeprefix('test_')}: {case.name}")
    for family, cases in families().items()
    for case in cases
    if (one := case.alone()) is not None
]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["nd4j", "onednn"])
@pytest.mark.parametrize("case", ALONE)
def test_parity(jvm, case, engine, record_property):
    import tensorflow as tf

    try:
        case.expected()
    except (ValueError, tf.errors.InvalidArgumentError) as e:
        pytest.skip(f"Keras needs more than one row there: {e}")
    record_property("suite", f"operations, a batch of one, engine {engine}")
    check(case, engine)
    check_gradients(case, engine)
