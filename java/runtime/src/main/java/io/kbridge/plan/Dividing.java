package io.kbridge.plan;

/**
 * Whether cores are to share out the samples of a batch, or each operation: decided once, or found out by the clock. The more samples there
 * are, the more is gained from samples of one's own, whose arrays stay in the cache; so what is known of some batches is taken for known of others. Not
 * thread safe.
 */
final class Dividing {
  private int least;
  private int most;

  private Dividing(int least, int most) {
    this.least = least;
    this.most = most;
  }

  /**
   * Starts with what is known.
   *
   * @param choice {@code always}, {@code never}, or {@code measure} if nothing is known
   */
  static Dividing of(String choice) {
    return new Dividing(choice.equals("always") ? 0 : Integer.MAX_VALUE, choice.equals("never") ? Integer.MAX_VALUE : -1);
  }

  /** Tells whether samples are not to be shared out in this way. */
  boolean isRefused(Division division) {
    return rank(division) <= most;
  }

  /** Tells whether it is known which way is faster. */
  boolean isKnown(Division division) {
    return isRefused(division) || rank(division) >= least;
  }

  /** Notes which way is faster. */
  void note(Division division, boolean faster) {
    if (faster) {
      least = rank(division);
    } else {
      most = rank(division);
    }
  }

  /** Counts the samples that a trial has for each core. */
  private static int rank(Division division) {
    return Math.toIntExact(division.few().each());
  }
}
