package io.kbridge.samediff;

/** Says why a use of an operation has no exact form in SameDiff. Collected over the whole graph, then told at once. */
public final class Refusal extends RuntimeException {
  private static final long serialVersionUID = 1;

  /**
   * Makes a refusal.
   *
   * @param reason what is in the way, in a few words
   */
  public Refusal(String reason) {
    super(reason);
  }
}
