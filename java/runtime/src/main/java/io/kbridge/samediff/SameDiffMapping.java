package io.kbridge.samediff;

/** Says one operation of the graph in SameDiff. */
@FunctionalInterface
public interface SameDiffMapping {
  /**
   * Adds the operation to the SameDiff graph.
   *
   * @param node the node; gives the inputs and takes the outputs
   * @throws Refusal if SameDiff has no exact way to say this use of the operation
   */
  void build(SameDiffNode node);
}
