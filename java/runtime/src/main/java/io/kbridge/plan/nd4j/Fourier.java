package io.kbridge.plan.nd4j;

/** The discrete Fourier transform of one length, in float64: by the factors of the length, so that no length is slow but a prime. */
final class Fourier {
  private final int length;
  private final double[] cosines;
  private final double[] sines;

  /**
   * Prepares transforms.
   *
   * @param length how many numbers each has
   */
  Fourier(int length) {
    this.length = length;
    cosines = new double[length];
    sines = new double[length];
    for (int i = 0; i < length; i++) {
      cosines[i] = Math.cos(2 * Math.PI * i / length);
      sines[i] = -Math.sin(2 * Math.PI * i / length);
    }
  }

  /**
   * Transforms forwards. The inverse is the same with the parts exchanged, on both sides, and divided by the length.
   *
   * @param re real parts, replaced by those of the transform
   * @param im imaginary parts, replaced by those of the transform
   */
  void transform(double[] re, double[] im) {
    double[] outRe = new double[length];
    double[] outIm = new double[length];
    transform(re, im, 0, 1, outRe, outIm, 0, length);
    System.arraycopy(outRe, 0, re, 0, length);
    System.arraycopy(outIm, 0, im, 0, length);
  }

  /** Transforms {@code n} numbers that stand {@code stride} apart from {@code from} on. */
  private void transform(
      double[] re, double[] im, int from, int stride, double[] outRe, double[] outIm, int to, int n) {
    if (n == 1) {
      outRe[to] = re[from];
      outIm[to] = im[from];
      return;
    }
    int parts = smallestFactor(n);
    int size = n / parts;
    for (int p = 0; p < parts; p++) {
      transform(re, im, from + p * stride, stride * parts, outRe, outIm, to + p * size, size);
    }
    double[] sumRe = new double[parts];
    double[] sumIm = new double[parts];
    for (int i = 0; i < size; i++) {
      for (int q = 0; q < parts; q++) {
        combine(outRe, outIm, to + i, size, i + q * size, n, q, sumRe, sumIm);
      }
      for (int q = 0; q < parts; q++) {
        outRe[to + i + q * size] = sumRe[q];
        outIm[to + i + q * size] = sumIm[q];
      }
    }
  }

  /** One number of the transform: the sum over the parts, each turned by its angle. */
  private void combine(
      double[] re, double[] im, int at, int size, int index, int n, int q, double[] sumRe, double[] sumIm) {
    sumRe[q] = 0;
    sumIm[q] = 0;
    for (int p = 0; p < sumRe.length; p++) {
      int angle = (int) ((long) p * index % n * (length / n));
      double c = cosines[angle];
      double s = sines[angle];
      double x = re[at + p * size];
      double y = im[at + p * size];
      sumRe[q] += x * c - y * s;
      sumIm[q] += x * s + y * c;
    }
  }

  private static int smallestFactor(int n) {
    for (int factor = 2; (long) factor * factor <= n; factor++) {
      if (n % factor == 0) {
        return factor;
      }
    }
    return n;
  }
}
