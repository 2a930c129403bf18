"""The steps of a compiled model: what training and evaluation compute, traced from Keras.

docs/bundle-format.md section 9 says what the document holds. A training step is the model called
with `training=True`, its losses, and every value that Keras assigns on the way: statistics, states
of seed generators, metrics. All of it is Keras's own code, run once on symbolic tensors, so losses,
metrics, regularizers and constraints that users wrote come along.
"""

from kbridge.export.steps.document import StepsDocument, steps_document

__all__ = ["StepsDocument", "steps_document"]
