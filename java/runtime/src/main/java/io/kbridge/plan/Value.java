package io.kbridge.plan;

import org.nd4j.linalg.api.ndarray.INDArray;

/** A value while a plan is compiled: its array, and the block of the arena it lies in, if it lies in one. */
final class Value {
  private final INDArray array;
  private final Arena.Block block;
  private final boolean constant;

  Value(INDArray array, Arena.Block block, boolean constant) {
    this.array = array;
    this.block = block;
    this.constant = constant;
  }

  INDArray array() {
    return array;
  }

  boolean constant() {
    return constant;
  }

  Arena.Block block() {
    return block;
  }

  /** Makes a value of the same content under another shape, which needs the memory as long as this one may. */
  Value view(INDArray view) {
    if (block != null) {
      block.retain();
    }
    return new Value(view, block, constant);
  }

  /** Tells whether no other value lies in the same memory of the plan. */
  boolean isSole() {
    return block != null && !block.isShared();
  }

  void release() {
    if (block != null) {
      block.release();
    }
  }
}
