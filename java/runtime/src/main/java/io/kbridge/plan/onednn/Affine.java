package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.algorithm;

import io.kbridge.graph.GraphNode;
import java.util.Arrays;
import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * {@code scale * x + shift} per channel, with constant numbers: what biases, batch-norm layers and the like amount to. Collected in double
 * precision, so that putting it into a kernel rounds once.
 */
final class Affine {
  private final double[] scale;
  private final double[] shift;
  private int links;

  /** Starts with the identity. */
  Affine(long channels) {
    scale = new double[Math.toIntExact(channels)];
    shift = new double[scale.length];
    Arrays.fill(scale, 1);
  }

  /**
   * Takes as many links of a chain as are of this form.
   *
   * @param site the chain
   * @param layout the layout of the head's result
   * @return this
   */
  Affine absorb(Site site, Layout layout) {
    return absorb(site, layout, 0);
  }

  /** Takes links from one on. */
  Affine absorb(Site site, Layout layout, int first) {
    links = first;
    while (links < site.chain().links().size() && absorb(site.chain().links().get(links), site.chain().before(links), site, layout)) {
      links++;
    }
    return this;
  }

  /** Returns the same for several channels after another, as one row of them. */
  Affine repeated(int times) {
    Affine row = new Affine((long) times * scale.length);
    for (int i = 0; i < row.scale.length; i++) {
      row.scale[i] = scale[i % scale.length];
      row.shift[i] = shift[i % scale.length];
    }
    row.links = links;
    return row;
  }

  /** Returns the first link that was not taken. */
  int links() {
    return links;
  }

  /** Tells whether the scale changes something. */
  boolean scales() {
    return Arrays.stream(scale).anyMatch(s -> s != 1);
  }

  /** Tells whether the shift changes something. */
  boolean shifts() {
    return Arrays.stream(shift).anyMatch(s -> s != 0);
  }

  /** Returns the scale. */
  float[] scale() {
    return rounded(scale);
  }

  /** Returns the shift. */
  float[] shift() {
    return rounded(shift);
  }

  /** Multiplies numbers, of which the channel is the last axis. */
  float[] scaled(float[] content) {
    for (int i = 0; i < content.length; i++) {
      content[i] = (float) (content[i] * scale[i % scale.length]);
    }
    return content;
  }

  /** Multiplies one number of each channel, in place. */
  void scale(double[] numbers) {
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] *= scale[i];
    }
  }

  /** Takes one node, if it is of this form. */
  boolean absorb(GraphNode node, String through, Site site, Layout layout) {
    if (node.op().equals("BatchNorm")) {
      return absorbNorm(node, site, layout);
    }
    if (!Binary.applies(node, through)) {
      return false;
    }
    String other = Binary.beside(node, through);
    double[] numbers = site.isConstant(other) ? perChannel(site.array(other), layout) : null;
    return numbers != null && apply(Binary.of(node), numbers);
  }

  private boolean apply(algorithm function, double[] numbers) {
    boolean sums = function == algorithm.binary_add || function == algorithm.binary_sub;
    boolean products = function == algorithm.binary_mul || function == algorithm.binary_div;
    if (!sums && !products || !Arrays.stream(numbers).allMatch(Double::isFinite)) {
      return false;
    }
    if (function == algorithm.binary_div && Arrays.stream(numbers).anyMatch(x -> x == 0)) {
      return false;
    }
    for (int i = 0; i < scale.length; i++) {
      if (sums) {
        shift[i] += function == algorithm.binary_add ? numbers[i] : -numbers[i];
      } else {
        double factor = function == algorithm.binary_mul ? numbers[i] : 1 / numbers[i];
        scale[i] *= factor;
        shift[i] *= factor;
      }
    }
    return true;
  }

  private boolean absorbNorm(GraphNode node, Site site, Layout layout) {
    if (!layout.isChannelAxis(node.attrs().getInt("axis"))) {
      return false;
    }
    List<String> inputs = node.inputs();
    double[] mean = statistic(inputs, 1, site, layout);
    double[] variance = statistic(inputs, 2, site, layout);
    double[] offset = statistic(inputs, 3, site, layout);
    double[] gain = statistic(inputs, 4, site, layout);
    double epsilon = node.attrs().getDouble("epsilon", 1e-3);
    if (mean == null || variance == null || offset == null && has(inputs, 3) || gain == null && has(inputs, 4)) {
      return false;
    }
    for (int i = 0; i < scale.length; i++) {
      double factor = (gain == null ? 1 : gain[i]) / Math.sqrt(variance[i] + epsilon);
      scale[i] *= factor;
      shift[i] = (shift[i] - mean[i]) * factor + (offset == null ? 0 : offset[i]);
    }
    return true;
  }

  private double[] statistic(List<String> inputs, int i, Site site, Layout layout) {
    if (!has(inputs, i) || !site.isConstant(inputs.get(i)) || site.array(inputs.get(i)).length() != scale.length) {
      return null;
    }
    return widened(OneDnn.content(site.array(inputs.get(i))));
  }

  private static boolean has(List<String> inputs, int i) {
    return i < inputs.size() && inputs.get(i) != null;
  }

  /** Reads an operand as one number for each channel; null if it has others. */
  private double[] perChannel(INDArray operand, Layout layout) {
    long[] dims = layout.dims(operand.shape());
    if (dims == null) {
      return null;
    }
    for (int i = 0; i < dims.length; i++) {
      boolean channel = i == Math.min(1, dims.length - 1);
      if (dims[i] != 1 && !channel) {
        return null;
      }
    }
    double[] numbers = widened(OneDnn.content(operand));
    if (numbers.length == scale.length) {
      return numbers;
    }
    double[] repeated = new double[scale.length];
    Arrays.fill(repeated, numbers[0]);
    return repeated;
  }

  private static double[] widened(float[] numbers) {
    double[] wide = new double[numbers.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = numbers[i];
    }
    return wide;
  }

  private static float[] rounded(double[] numbers) {
    float[] narrow = new float[numbers.length];
    for (int i = 0; i < narrow.length; i++) {
      narrow[i] = (float) numbers[i];
    }
    return narrow;
  }
}
