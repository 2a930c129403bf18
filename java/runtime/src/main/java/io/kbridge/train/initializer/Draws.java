package io.kbridge.train.initializer;

import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import java.util.stream.DoubleStream;

/** A stream of random numbers. */
public final class Draws {
  private final SplittableRandom random;
  private double spare = Double.NaN;

  /**
   * Starts a stream.
   *
   * @param seed a number
   * @param name of what it is for; other names give other streams
   */
  public Draws(long seed, String name) {
    long mixed = seed;
    for (int i = 0; i < name.length(); i++) {
      mixed = (mixed ^ name.charAt(i)) * 0x100000001b3L;
    }
    this.random = new SplittableRandom(mixed);
  }

  /**
   * Draws a number.
   *
   * @return at least 0, less than 1, all equally likely
   */
  public double uniform() {
    return random.nextDouble();
  }

  /**
   * Draws a number from the standard normal distribution.
   *
   * @return the number
   */
  public double normal() {
    if (!Double.isNaN(spare)) {
      double found = spare;
      spare = Double.NaN;
      return found;
    }
    // NB: Marsaglia's polar method makes two at a time.
    double x;
    double y;
    double square;
    do {
      x = 2 * uniform() - 1;
      y = 2 * uniform() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square == 0);
    double factor = Math.sqrt(-2 * Math.log(square) / square);
    spare = y * factor;
    return x * factor;
  }

  /**
   * Draws a number from the standard normal distribution between -2 and 2.
   *
   * @return the number
   */
  public double truncatedNormal() {
    double found;
    do {
      found = normal();
    } while (Math.abs(found) > 2);
    return found;
  }

  /** Makes as many numbers as a shape has. */
  static double[] fill(long[] shape, DoubleSupplier one) {
    long count = 1;
    for (long size : shape) {
      count *= size;
    }
    return DoubleStream.generate(one).limit(count).toArray();
  }
}
