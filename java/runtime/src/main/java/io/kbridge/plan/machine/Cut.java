package io.kbridge.plan.machine;

/** Which numbers become others before they are written. Immutable. */
public final class Cut {
  /** None. */
  public static final Cut NONE = new Cut(false, Float.POSITIVE_INFINITY);
  /** Those below zero become zero: a ReLU. */
  public static final Cut BELOW_ZERO = new Cut(true, Float.POSITIVE_INFINITY);

  private final boolean belowZero;
  private final float most;

  private Cut(boolean belowZero, float most) {
    this.belowZero = belowZero;
    this.most = most;
  }

  /**
   * Cuts on both sides.
   *
   * @param most what numbers become that are larger; those below zero become zero
   * @return the cut
   */
  public static Cut between(float most) {
    return new Cut(true, most);
  }

  boolean belowZero() {
    return belowZero;
  }

  boolean above() {
    return most < Float.POSITIVE_INFINITY;
  }

  float most() {
    return most;
  }
}
