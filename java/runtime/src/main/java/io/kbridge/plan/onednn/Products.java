package io.kbridge.plan.onednn;

import java.util.ArrayList;
import java.util.List;

/** Sums with the same terms, computed side by side as one product for each term. */
final class Products {
  private final Register source;
  private final boolean hasKernel;
  private final List<Sum> sums = new ArrayList<>();
  private final List<Register> results = new ArrayList<>();
  private float[] factors;
  private Eltwise function;

  Products(Register source, boolean hasKernel) {
    this.source = source;
    this.hasKernel = hasKernel;
  }

  /** Tells whether a sum has the terms of these. */
  boolean suits(Sum sum) {
    return sum.source() == source && (sum.kernel() != null) == hasKernel;
  }

  void add(Sum sum, Register result) {
    sums.add(sum);
    results.add(result);
  }

  /** Lets a function be applied to all results, after multiplying each sum by a factor. */
  void apply(Eltwise function, float[] factors) {
    this.function = function;
    this.factors = factors;
  }

  /** Returns what the recurrent matrix is multiplied by, or null. */
  Register source() {
    return source;
  }

  boolean hasKernel() {
    return hasKernel;
  }

  /** Returns where the sums go, in the order of their columns. */
  List<Register> results() {
    return results;
  }

  /** Puts a result elsewhere. */
  void result(int i, Register register) {
    results.set(i, register);
  }

  /** Returns the function applied to the results, or null. */
  Eltwise function() {
    return function;
  }

  int width() {
    return sums.stream().mapToInt(Sum::width).sum();
  }

  /** Returns how many numbers of the sequence there are at each step. */
  int inner() {
    return sums.get(0).kernel().rows();
  }

  float[] kernel() {
    float[] all = new float[inner() * width()];
    int at = 0;
    for (int i = 0; i < sums.size(); at += sums.get(i++).width()) {
      sums.get(i).kernel().copyTo(all, at, width(), factor(i));
    }
    return all;
  }

  float[] recurrent() {
    float[] all = new float[source.width() * width()];
    int at = 0;
    for (int i = 0; i < sums.size(); at += sums.get(i++).width()) {
      sums.get(i).recurrent().copyTo(all, at, width(), factor(i));
    }
    return all;
  }

  boolean hasBias() {
    return sums.stream().anyMatch(sum -> sum.bias() != null);
  }

  float[] bias() {
    float[] all = new float[width()];
    int at = 0;
    for (int i = 0; i < sums.size(); at += sums.get(i++).width()) {
      float[] bias = sums.get(i).bias() == null ? new float[sums.get(i).width()] : sums.get(i).bias();
      for (int k = 0; k < bias.length; k++) {
        all[at + k] = factor(i) * bias[k];
      }
    }
    return all;
  }

  private float factor(int i) {
    return factors == null ? 1 : factors[i];
  }
}
