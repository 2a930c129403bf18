"""Every operation that `io.kbridge.plan.nd4j` claims to know has a parity case.

Loops and branches (`io.kbridge.plan.control`) are no single operations, and are not asked for here.
Nor are the operations of gradients, which Keras has not: `...Gradients` classes; nor those that
only training steps have (`Training`), which tests/steps has.
"""

from harness import families


def known_ops():
    import jpype

    registry = jpype.JClass("io.kbridge.plan.OpRegistry")()
    families = jpype.JClass("java.util.ServiceLoader").load(
        jpype.JClass("io.kbridge.plan.OpMappings"), registry.getClass().getClassLoader()
    )
    for family in families:
        name = str(family.getClass().getName())
        if name.startswith("io.kbridge.plan.nd4j.") and not name.endswith(
            ("Gradients", "Training")
        ):
            registry.add(family)
    return {str(name) for name in registry.names()}


def test_every_mapping_has_a_gradient_rule(jvm):
    """Or says that gradients end there, or why there is none."""
    import jpype

    rules = jpype.JClass("io.kbridge.train.gradient.RuleRegistry").load()
    known = {str(name) for name in rules.names()} | {str(name) for name in rules.refusals()}
    missing = (known_ops() | {"Scan", "While", "Cond", "Switch"}) - known
    assert not missing, f"ops without a gradient rule: {' '.join(sorted(missing))}"


def test_every_mapping_has_a_case(jvm):
    missing = known_ops()
    assert len(missing) > 150
    for cases in families().values():
        for case in cases:
            missing -= case.ops()
    assert not missing, f"ops without a parity case: {' '.join(sorted(missing))}"
