package io.kbridge.train.gradient;

/**
 * How gradients go back through one op: from those of a node's outputs to those of its inputs. Where a function has no derivative, at ties,
 * kinks and edges, rules do what TensorFlow does.
 */
@FunctionalInterface
public interface GradientRule {
  /** The rule of ops whose outputs do not change with small changes of their inputs, such as comparisons. */
  GradientRule ZERO = context -> {};

  /**
   * Writes the gradients of the inputs.
   *
   * @param context the node, the gradients of its outputs, and what takes those of its inputs
   */
  void apply(GradientContext context);
}
