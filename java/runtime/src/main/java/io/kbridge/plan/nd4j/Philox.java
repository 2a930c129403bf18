package io.kbridge.plan.nd4j;

/**
 * The counter-based generator Philox 4x32-10, keyed by a seed in the way of TensorFlow's stateless random operations: the same seed gives
 * the same numbers there and here. Not thread safe.
 */
final class Philox {
  private static final int M0 = 0xD2511F53;
  private static final int M1 = 0xCD9E8D57;
  private static final int W0 = 0x9E3779B9;
  private static final int W1 = 0xBB67AE85;
  private static final long MODULUS = Integer.MAX_VALUE - 1L;

  private final int[] block = new int[4];
  private int key0;
  private int key1;
  private int high0;
  private int high1;

  /**
   * Sets the seed.
   *
   * @param first the first number of a seed generator's state
   * @param second the second one
   */
  void seed(long first, long second) {
    // NB: Keras brings its 64 bits into 32 in this way before TensorFlow sees them.
    long a = Math.floorMod(first, MODULUS);
    long b = Math.floorMod(second, MODULUS);
    key0 = 0x3ec8f720;
    key1 = 0x02461e29;
    scramble((int) a, (int) (a >>> 32), (int) b, (int) (b >>> 32));
    key0 = block[0];
    key1 = block[1];
    high0 = block[2];
    high1 = block[3];
  }

  /**
   * Gives four random words.
   *
   * @param index which four, from 0
   * @return the words, overwritten by the next call
   */
  int[] words(long index) {
    scramble((int) index, (int) (index >>> 32), high0, high1);
    return block;
  }

  private void scramble(int a, int b, int c, int d) {
    int c0 = a;
    int c1 = b;
    int c2 = c;
    int c3 = d;
    int k0 = key0;
    int k1 = key1;
    for (int round = 0; round < 10; round++) {
      long p0 = (M0 & 0xffffffffL) * (c0 & 0xffffffffL);
      long p1 = (M1 & 0xffffffffL) * (c2 & 0xffffffffL);
      int n0 = (int) (p1 >>> 32) ^ c1 ^ k0;
      int n2 = (int) (p0 >>> 32) ^ c3 ^ k1;
      c1 = (int) p1;
      c3 = (int) p0;
      c0 = n0;
      c2 = n2;
      k0 += W0;
      k1 += W1;
    }
    block[0] = c0;
    block[1] = c1;
    block[2] = c2;
    block[3] = c3;
  }

  /** Gives a float in [0, 1) of the low 23 bits of a word. */
  static float real(int word) {
    return Float.intBitsToFloat(word & 0x7fffff | 0x3f800000) - 1f;
  }

  /** Gives a double in [0, 1) of the low 52 bits of two words. */
  static double real(int low, int high) {
    long mantissa = (high & 0xfffffL) << 32 | low & 0xffffffffL;
    return Double.longBitsToDouble(mantissa | 0x3ff0000000000000L) - 1;
  }
}
