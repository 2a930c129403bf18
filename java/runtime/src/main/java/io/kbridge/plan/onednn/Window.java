package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.algorithm;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.GraphNode;
import java.util.Arrays;
import org.bytedeco.dnnl.convolution_forward;
import org.bytedeco.dnnl.memory;

/** Where the windows of a convolution or pooling lie: strides, dilation, padding on each side, sizes of the output. */
final class Window {
  private final boolean channelsLast;
  private final long[] sizes;
  private final long[] strides;
  private final long[] dilation;
  private final long[] before;
  private final long[] after;
  private final long[] output;

  private Window(boolean channelsLast, long[] sizes, long[] strides, long[] dilation) {
    this.channelsLast = channelsLast;
    this.sizes = sizes;
    this.strides = strides;
    this.dilation = dilation;
    this.before = new long[sizes.length];
    this.after = new long[sizes.length];
    this.output = new long[sizes.length];
  }

  /**
   * Reads a node's window.
   *
   * @param site the chain that the node is the head of
   * @param input the shape of its input, before any padding
   * @param sizes the sizes of the window
   * @return the window, or null if the node is not one oneDNN can have
   */
  static Window of(Site site, long[] input, long[] sizes) {
    Attributes attrs = site.head().attrs();
    int axes = input.length - 2;
    if (axes < 1 || axes > 3 || sizes.length != axes) {
      return null;
    }
    boolean last = attrs.getString("data_format", "channels_last").equals("channels_last");
    long[] ones = new long[axes];
    Arrays.fill(ones, 1);
    long[] dilation = attrs.has("dilation_rate") ? attrs.getLongs("dilation_rate") : ones;
    long[] otherwise = site.head().op().contains("Pool") ? sizes : ones;
    long[] strides = attrs.has("strides") ? attrs.getLongs("strides") : otherwise;
    Window window = new Window(last, sizes, strides, dilation);
    boolean padded = site.chain().pad() == null || window.pad(site.chain().pad(), input.length);
    return padded && window.place(input, attrs.getString("padding", "valid").equals("same")) ? window : null;
  }

  private boolean pad(GraphNode pad, int rank) {
    JsonNode widths = pad.attrs().json("pad_width");
    for (int axis = 0; axis < rank; axis++) {
      JsonNode pair = widths.size() == rank ? widths.get(axis) : null;
      if (pair == null || pair.size() != 2) {
        return false;
      }
      int i = axis - (channelsLast ? 1 : 2);
      if (i >= 0 && i < sizes.length) {
        before[i] = pair.get(0).longValue();
        after[i] = pair.get(1).longValue();
      } else if (pair.get(0).longValue() != 0 || pair.get(1).longValue() != 0) {
        return false;
      }
    }
    return true;
  }

  private boolean place(long[] input, boolean same) {
    for (int i = 0; i < sizes.length; i++) {
      long size = input[i + (channelsLast ? 1 : 2)] + before[i] + after[i];
      long span = (sizes[i] - 1) * dilation[i] + 1;
      if (same) {
        output[i] = (size + strides[i] - 1) / strides[i];
        long total = Math.max(0, (output[i] - 1) * strides[i] + span - size);
        before[i] += total / 2;
        after[i] += total - total / 2;
      } else {
        output[i] = size < span ? 0 : (size - span) / strides[i] + 1;
        // NB: oneDNN wants to know of no more padding than the last window reaches.
        long reached = (output[i] - 1) * strides[i] + span - size;
        after[i] = Math.max(0, after[i] + Math.min(0, reached));
      }
      if (output[i] < 1) {
        return false;
      }
    }
    return true;
  }

  /** Tells whether each window has at least one element that is not padding. */
  boolean touchesInput(long[] input) {
    for (int i = 0; i < sizes.length; i++) {
      long span = (sizes[i] - 1) * dilation[i] + 1;
      long last = (output[i] - 1) * strides[i] - before[i];
      if (before[i] >= span || last >= input[i + (channelsLast ? 1 : 2)]) {
        return false;
      }
    }
    return true;
  }

  boolean channelsLast() {
    return channelsLast;
  }

  boolean isPadded() {
    return Arrays.stream(before).sum() + Arrays.stream(after).sum() > 0;
  }

  /** Returns the shape of the output. */
  long[] shape(long batch, long channels) {
    long[] shape = new long[sizes.length + 2];
    shape[0] = batch;
    System.arraycopy(output, 0, shape, channelsLast ? 1 : 2, output.length);
    shape[channelsLast ? shape.length - 1 : 1] = channels;
    return shape;
  }

  /**
   * Describes a convolution at inference whose windows these are.
   *
   * @param way by which algorithm
   * @param from the layout of the images
   * @param kernel that of the kernel
   * @param bias that of the bias, or null if there is none
   * @param to that of the result
   */
  convolution_forward.desc convolution(algorithm way, memory.desc from, memory.desc kernel, memory.desc bias, memory.desc to) {
    prop_kind kind = prop_kind.forward_inference;
    return bias == null
        ? new convolution_forward.desc(kind, way, from, kernel, to, strides, gaps(), before, after)
        : new convolution_forward.desc(kind, way, from, kernel, bias, to, strides, gaps(), before, after);
  }

  long[] sizes() {
    return sizes;
  }

  long[] strides() {
    return strides;
  }

  /** Returns the dilation as oneDNN counts it, from 0. */
  long[] gaps() {
    return Arrays.stream(dilation).map(d -> d - 1).toArray();
  }

  long[] before() {
    return before;
  }

  long[] after() {
    return after;
  }
}
