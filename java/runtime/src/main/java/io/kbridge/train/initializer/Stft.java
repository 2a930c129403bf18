package io.kbridge.train.initializer;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.train.optimizer.Config;
import java.util.Arrays;

/** The kernel of a short-time Fourier transform; nothing about it is random. */
final class Stft implements Initializer {
  private final boolean real;
  private final JsonNode window;
  private final String scaling;
  private final boolean periodic;

  Stft(Config config) {
    real = config.json("side").asText().equals("real");
    window = config.json("window");
    scaling = config.json("scaling").asText("");
    periodic = config.flag("periodic");
  }

  @Override
  public double[] values(long[] shape, Draws draws) {
    int length = (int) shape[0];
    int frequencies = (int) shape[2];
    double[] weights = weights(length);
    double divisor = 1;
    if (window != null && !window.isNull()) {
      divisor = scaling.equals("density") ? Math.sqrt(Arrays.stream(weights).map(x -> x * x).sum()) : divisor;
      divisor = scaling.equals("spectrum") ? Arrays.stream(weights).map(Math::abs).sum() : divisor;
    }
    double[] values = new double[length * frequencies];
    for (int t = 0; t < length; t++) {
      for (int f = 0; f < frequencies; f++) {
        double angle = -2 * Math.PI * t * f / (2.0 * (frequencies - 1));
        values[t * frequencies + f] = (real ? Math.cos(angle) : Math.sin(angle)) * weights[t] / divisor;
      }
    }
    return values;
  }

  private double[] weights(int length) {
    if (window == null || window.isNull()) {
      return cosines(length, 1);
    }
    if (window.isArray()) {
      double[] given = new double[length];
      Arrays.setAll(given, i -> window.get(i).asDouble());
      return given;
    }
    switch (window.asText()) {
      case "hann":
        return cosines(length, 0.5, -0.5);
      case "hamming":
        return cosines(length, 0.54, -0.46);
      case "blackman":
        return cosines(length, 0.42, -0.5, 0.08);
      default:
        throw Initializers.refused("the window hann, hamming, blackman, none or a list for STFT", window.toString());
    }
  }

  /** A sum of cosines over the window's length. */
  private double[] cosines(int length, double... factors) {
    double[] sums = new double[length];
    double period = periodic ? length : length - 1;
    for (int i = 0; i < length; i++) {
      for (int k = 0; k < factors.length; k++) {
        sums[i] += factors[k] * (length == 1 ? 0 : Math.cos(2 * Math.PI * k * i / period));
      }
    }
    if (length == 1) {
      sums[0] = 1;
    }
    return sums;
  }
}
