package io.kbridge.plan;

/**
 * Compiles nodes of one op into steps. The mapping works out the shape of each output (every input shape is concrete by
 * then), asks the context for the arrays, and returns what computes them. A node must be a pure function of its inputs and
 * attributes: one whose inputs are all constant is computed once and its result kept.
 */
@FunctionalInterface
public interface OpMapping {
  /**
   * Compiles one node.
   *
   * @param context the node, its inputs and the memory for its outputs
   * @return the step, or null if every output is a view made with {@link OpContext#alias}
   */
  Step compile(OpContext context);
}
