package io.kbridge.train.optimizer;

/** The update of one weight, or of a piece of it, in one step. Must not keep what it is given. */
@FunctionalInterface
public interface Kernel {
  /**
   * Computes new values in place.
   *
   * @param w the weight's values
   * @param g the gradient, clipped and unscaled; may be overwritten
   * @param q the gradient's magnitudes that the rule asks for; may be overwritten
   * @param slots the values of the weight's slots, in the rule's order, placeholders left out
   * @param n how many values of w, g and q count; of the slots too, unless the rule takes whole weights
   */
  void update(float[] w, float[] g, float[] q, float[][] slots, int n);
}
