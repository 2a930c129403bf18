package io.kbridge.plan.machine;

/**
 * One axis of a tile of Winograd's algorithm, and the code of its transforms: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015).
 * Numbers of an image are the coefficients of a polynomial, which is evaluated at some points and at infinity. Points come in pairs of opposite sign,
 * and zero may be one of them. The polynomial that is zero at all points but {@code p} is {@code (x + p) q(x * x)}, with {@code q} zero at the squares
 * of the others (times x, if zero is a point), so numbers at even and at odd places have the same factors, and two points take hardly more than one.
 * Immutable.
 */
public final class TileAxis {
  /** The first register that transforms may change; what they read lies before it. */
  static final int FREE = 9;

  private static final int MORE = FREE + 2 * 4;

  private final int side;
  private final double[] points;
  private final boolean zero;
  private final double[] pairs;

  /**
   * Describes an axis.
   *
   * @param side how many numbers of the result a tile has
   * @param points the points but infinity: zero or not, then pairs, the positive one first; none if nothing is transformed along the axis
   */
  public TileAxis(int side, double[] points) {
    this.side = side;
    this.points = points.clone();
    this.zero = points.length % 2 == 1;
    this.pairs = new double[points.length / 2];
    for (int i = 0; i < pairs.length; i++) {
      pairs[i] = points[first() + 2 * i];
      if (points[first() + 2 * i + 1] != -pairs[i] || zero && points[0] != 0) {
        throw new IllegalArgumentException("Expected points in pairs behind zero. Received: " + java.util.Arrays.toString(points) + ".");
      }
    }
  }

  private int first() {
    return zero ? 1 : 0;
  }

  /** Returns how many numbers of the result a tile has. */
  int side() {
    return side;
  }

  /** Returns how many numbers of the image a tile has. */
  int span() {
    return points.length + 1;
  }

  /** Tells whether something is transformed. */
  boolean transforms() {
    return points.length > 0;
  }

  /**
   * Writes the transform of an image's numbers, which lie in the registers from 0.
   *
   * @param code where it is written
   * @param base the register that has the address of the constants' offsets
   * @param constants what is multiplied with
   * @param put told each number's place, and, before that, the register that has it
   */
  void image(Assembler code, int base, Constants constants, Put put) {
    if (!transforms()) {
      put.put(0, 0);
      return;
    }
    Sums sums = new Sums(code, base, constants);
    double[] all = others(-1);
    if (zero) {
      sums.sum(FREE, 0, all);
      put.put(0, FREE);
    }
    for (int i = 0; i < pairs.length; i++) {
      double[] others = others(i);
      sums.sum(FREE, first() + 1, others);
      sums.sum(FREE + 1, first(), others);
      for (int sign = 1; sign >= -1; sign -= 2) {
        int to = FREE + 3 - sign;
        code.copy(to, FREE);
        code.addProduct(to, FREE + 1, base, constants.offset(sign * pairs[i]));
        put.put(first() + 2 * i + (1 - sign) / 2, to);
      }
    }
    sums.sum(FREE, first(), all);
    put.put(points.length, FREE);
  }

  /**
   * Writes the transform of products, which lie in the registers from 0, to numbers of the result.
   *
   * @param code where it is written
   * @param base the register that has the address of the constants' offsets
   * @param constants what is multiplied with
   * @param put told each number's place, and the register that has it, and may change that
   */
  void result(Assembler code, int base, Constants constants, Put put) {
    if (!transforms()) {
      put.put(0, 0);
      return;
    }
    for (int i = 0; i < pairs.length; i++) {
      int at = first() + 2 * i;
      code.sum(FREE + 2 * i, at, at + 1);
      code.difference(FREE + 2 * i + 1, at, at + 1);
    }
    for (int power = 0; power < side; power++) {
      power(code, base, constants, power);
      if (power == side - 1) {
        code.sum(MORE, MORE, points.length);
      }
      put.put(power, MORE);
    }
  }

  /** Adds up the powers of all points, times products. */
  private void power(Assembler code, int base, Constants constants, int power) {
    for (int i = 0; i < pairs.length; i++) {
      int from = FREE + 2 * i + power % 2;
      int offset = power == 0 ? 0 : constants.offset(Math.pow(pairs[i], power));
      if (power == 0 && i == 0) {
        sumOrCopy(code, from);
      } else if (power == 0) {
        code.sum(MORE, MORE, from);
      } else if (i == 0) {
        code.product(MORE, from, base, offset);
      } else {
        code.addProduct(MORE, from, base, offset);
      }
    }
  }

  private void sumOrCopy(Assembler code, int from) {
    if (zero) {
      code.sum(MORE, 0, from);
    } else {
      code.copy(MORE, from);
    }
  }

  /** Returns the polynomial that is zero at the squares of all pairs but one, the lowest power first. */
  private double[] others(int but) {
    double[] product = new double[pairs.length + (but < 0 ? 1 : 0)];
    product[0] = 1;
    int degree = 0;
    for (int i = 0; i < pairs.length; i++) {
      if (i != but) {
        degree++;
        for (int power = degree; power >= 0; power--) {
          product[power] = (power == 0 ? 0 : product[power - 1]) - pairs[i] * pairs[i] * product[power];
        }
      }
    }
    return product;
  }

  /** Is told where results are. */
  interface Put {
    /**
     * Takes a number.
     *
     * @param place which one it is
     * @param register which register has it
     */
    void put(int place, int register);
  }

  /** Writes sums of every second register, times factors of which the last is one. */
  private static final class Sums {
    private final Assembler code;
    private final int base;
    private final Constants constants;

    Sums(Assembler code, int base, Constants constants) {
      this.code = code;
      this.base = base;
      this.constants = constants;
    }

    void sum(int to, int first, double[] factors) {
      code.copy(to, first + 2 * (factors.length - 1));
      for (int i = 0; i < factors.length - 1; i++) {
        code.addProduct(to, first + 2 * i, base, constants.offset(factors[i]));
      }
    }
  }
}
