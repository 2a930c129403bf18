package io.kbridge.plan;

/**
 * A compiled node. {@link #run()} computes the node's outputs from what its inputs hold at that moment. All shapes are
 * settled and all memory is there when a step is made, so run() allocates nothing it can help and looks up nothing.
 */
@FunctionalInterface
public interface Step {
  /** Computes the outputs. */
  void run();

  /**
   * Names the code that computes the outputs.
   *
   * @return the library and which of its operations or implementations; {@code Java} where code of ours does the work
   */
  default String implementation() {
    return "Java";
  }
}
