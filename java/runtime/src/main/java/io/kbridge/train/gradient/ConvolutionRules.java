package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Rules of convolutions and poolings. Their gradients are ops of their own. */
public final class ConvolutionRules implements GradientRules {
  /** Makes the family; for the service loader. */
  public ConvolutionRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.rule("Conv", c -> backprop(c, "Conv"));
    registry.rule("DepthwiseConv", c -> backprop(c, "DepthwiseConv"));
    registry.composed("SeparableConv", ConvolutionRules::separable);
    registry.rule("ConvTranspose", ConvolutionRules::transpose);
    registry.rule("MaxPool", c -> pool(c, "MaxPoolGrad"));
    registry.rule("AveragePool", c -> pool(c, "AveragePoolGrad"));
    registry.composed("AdaptiveMaxPool", c -> List.of(adaptive(c, "Max")));
    registry.composed("AdaptiveAveragePool", c -> List.of(adaptive(c, "Mean")));
  }

  private static Sym node(GradientContext c, String op, Sym like, Sym... inputs) {
    ObjectNode attrs = c.attrs().json().deepCopy();
    return c.e().node(op, List.of(inputs), Emitter.put(attrs, "shape", like.shape()), like.type(), like.shape());
  }

  private static void backprop(GradientContext c, String op) {
    c.give(0, node(c, op + "BackpropInput", c.input(0), c.input(1), c.gradient(0)));
    c.give(1, node(c, op + "BackpropFilter", c.input(1), c.input(0), c.gradient(0)));
  }

  /** A convolution by depth, then one with a window of one. */
  private static List<Sym> separable(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    Sym window = c.input(1);
    boolean last = c.attrs().getString("data_format", "channels_last").equals("channels_last");
    int n = x.rank() - 2;
    int channels = last ? n + 1 : 1;
    long[] shape = c.output(0).shape();
    shape[channels] = x.size(channels) * window.size(n + 1);
    Sym middle = e.node("DepthwiseConv", List.of(x, window), c.attrs().json(), x.type(), shape);
    long[] one = new long[n];
    Arrays.fill(one, 1);
    ObjectNode attrs = c.attrs().json().deepCopy();
    Emitter.put(Emitter.put(attrs, "strides", one), "dilation_rate", one);
    return List.of(e.node("Conv", List.of(middle, c.input(2)), attrs, x.type(), c.output(0).shape()));
  }

  /** A transposed convolution is a convolution's gradient; so its own gradients are the convolution, and that one's other gradient. */
  private static void transpose(GradientContext c) {
    ObjectNode attrs = c.attrs().json().deepCopy();
    attrs.remove("output_padding");
    Sym g = c.gradient(0);
    c.give(0, c.e().node("Conv", List.of(g, c.input(1)), attrs, g.type(), c.input(0).shape()));
    Sym w = c.input(1);
    ObjectNode filter = Emitter.put(attrs.deepCopy(), "shape", w.shape());
    c.give(1, c.e().node("ConvBackpropFilter", List.of(g, c.input(0)), filter, w.type(), w.shape()));
  }

  private static void pool(GradientContext c, String op) {
    c.give(0, node(c, op, c.input(0), c.input(0), c.gradient(0)));
  }

  /** Windows of one axis after the other, as Keras takes them. */
  private static Sym adaptive(GradientContext c, String reduction) {
    boolean last = c.attrs().getString("data_format", "channels_last").equals("channels_last");
    long[] sizes = c.attrs().getLongs("output_size");
    Sym x = c.input(0);
    for (int i = 0; i < sizes.length; i++) {
      int axis = i + (last ? 1 : 2);
      long in = x.size(axis);
      List<Sym> parts = new ArrayList<>();
      for (long k = 0; k < sizes[i]; k++) {
        long start = k * in / sizes[i];
        long end = ((k + 1) * in + sizes[i] - 1) / sizes[i];
        parts.add(c.e().reduce(reduction, c.e().slice(x, axis, start, end - start), true, axis));
      }
      x = c.e().concatenate(parts, axis);
    }
    return x;
  }
}
