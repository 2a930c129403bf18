package io.kbridge.plan.machine;

/** As few blocks as possible of some units, of two sizes at most: one less than the other, those of the larger size first. Immutable. */
public final class EvenBlocks {
  private final int count;
  private final int size;
  private final int large;

  /**
   * Divides units.
   *
   * @param units how many there are, at least one
   * @param most how many a block has at most
   */
  public EvenBlocks(int units, int most) {
    count = (units + most - 1) / most;
    size = (units + count - 1) / count;
    large = units - count * (size - 1);
  }

  /**
   * Returns how many blocks there are.
   *
   * @return the count
   */
  public int count() {
    return count;
  }

  /**
   * Returns how many of them have the larger size.
   *
   * @return the count, at least one
   */
  public int large() {
    return large;
  }

  /**
   * Returns the sizes that there are, the larger one first.
   *
   * @return one size or two
   */
  public int[] sizes() {
    return large < count ? new int[] {size, size - 1} : new int[] {size};
  }

  /**
   * Returns where a block begins.
   *
   * @param block which one
   * @return its first unit
   */
  public long start(int block) {
    return (long) block * size - Math.max(0, block - large);
  }
}
