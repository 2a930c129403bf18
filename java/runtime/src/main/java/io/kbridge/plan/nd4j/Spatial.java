package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * What convolutions and poolings have in common: how many spatial axes, where the channels are, sizes of windows and outputs. One
 * spatial axis is computed as two, the first of size 1, because ND4J has no 1D form of most of these operations.
 */
final class Spatial {
  private final boolean channelsLast;
  private final boolean same;
  private final long[] input;

  private Spatial(boolean channelsLast, boolean same, long[] input) {
    this.channelsLast = channelsLast;
    this.same = same;
    this.input = input;
  }

  /**
   * Reads a node's {@code data_format} and {@code padding}, and checks that its first input is floating-point and has one to three
   * spatial axes.
   *
   * @param context the node
   * @return what was read
   */
  static Spatial of(OpContext context) {
    return of(context, context.input(0).shape());
  }

  /**
   * Reads the node of a gradient, whose inputs do not have the shape of what was convolved.
   *
   * @param context the node
   * @param shape the shape of the first input of the forward op
   * @return what was read
   */
  static Spatial of(OpContext context, long... shape) {
    INDArray x = context.input(0);
    if (shape.length < 3 || shape.length > 5 || !x.dataType().isFPType()) {
      throw Kernel.unsupported(
          context,
          "a floating-point input with 1, 2 or 3 spatial axes",
          x.dataType() + Arrays.toString(shape));
    }
    String padding = context.attrs().getString("padding", "valid");
    if (!padding.equals("same") && !padding.equals("valid")) {
      throw context.attrs().wrong("padding", "'same' or 'valid'");
    }
    String format = context.attrs().getString("data_format", "channels_last");
    return new Spatial(format.equals("channels_last"), padding.equals("same"), shape.clone());
  }

  /**
   * Tells whether the channels are the last axis.
   *
   * @return false if they are axis 1
   */
  boolean channelsLast() {
    return channelsLast;
  }

  /**
   * Tells whether the padding is {@code same}.
   *
   * @return false if it is {@code valid}
   */
  boolean same() {
    return same;
  }

  /**
   * Returns the count of spatial axes.
   *
   * @return 1, 2 or 3
   */
  int axes() {
    return input.length - 2;
  }

  /**
   * Returns the axis of the channels.
   *
   * @return the axis
   */
  int channelAxis() {
    return channelsLast ? input.length - 1 : 1;
  }

  /**
   * Returns the size of the channel axis.
   *
   * @return the count of channels
   */
  long channels() {
    return input[channelAxis()];
  }

  /**
   * Returns the size of a spatial axis of the input.
   *
   * @param i the spatial axis, from 0
   * @return its size
   */
  long size(int i) {
    return input[i + (channelsLast ? 1 : 2)];
  }

  /**
   * Builds a shape in the node's data format.
   *
   * @param channels how many channels
   * @param sizes the spatial sizes
   * @return the shape, with the input's batch size
   */
  long[] shape(long channels, long... sizes) {
    long[] lead = {input[0]};
    long[] last = {channels};
    return channelsLast ? Shapes.concat(lead, sizes, last) : Shapes.concat(lead, last, sizes);
  }

  /**
   * Returns the spatial sizes of the output of a sliding window.
   *
   * @param window the window's sizes
   * @param strides its strides
   * @param dilation its dilation
   * @return the sizes
   */
  long[] outputSizes(long[] window, long[] strides, long[] dilation) {
    long[] sizes = new long[axes()];
    for (int i = 0; i < sizes.length; i++) {
      long span = (window[i] - 1) * dilation[i] + 1;
      long places = same ? size(i) : Math.max(0, size(i) - span + 1);
      sizes[i] = (places + strides[i] - 1) / strides[i];
    }
    return sizes;
  }

  /**
   * Reads an attribute with one integer per spatial axis.
   *
   * @param context the node
   * @param name the attribute; absent means all 1
   * @return the integers
   */
  long[] perAxis(OpContext context, String name) {
    if (!context.attrs().has(name)) {
      return Shapes.ones(axes());
    }
    long[] values = context.attrs().getLongs(name);
    if (values.length != axes()) {
      throw context.attrs().wrong(name, "a list of " + axes() + " integers, one per spatial axis");
    }
    return values;
  }

  /**
   * Sees data with one spatial axis as data with two, the first of size 1.
   *
   * @param x the data
   * @return the data itself if it has more spatial axes
   */
  INDArray wide(INDArray x) {
    return axes() > 1 ? x : Views.expand(x, channelsLast ? 1 : 2);
  }

  /**
   * Sees a kernel with one spatial axis as one with two, the first of size 1.
   *
   * @param kernel the kernel
   * @return the kernel itself if it has more spatial axes
   */
  INDArray wideKernel(INDArray kernel) {
    return axes() > 1 ? kernel : Views.expand(kernel, 0);
  }

  /**
   * Extends a per-axis list the way {@link #wide} extends the data.
   *
   * @param values one value per spatial axis
   * @return at least two values
   */
  long[] wide(long[] values) {
    return axes() > 1 ? values : new long[] {1, values[0]};
  }

  /**
   * Returns ND4J's integer arguments common to all these operations: window, strides, padding, dilation, mode.
   *
   * @param window the window's sizes
   * @param strides its strides
   * @param dilation its dilation
   * @return the arguments
   */
  long[] arguments(long[] window, long[] strides, long[] dilation) {
    long[] wide = wide(window);
    long[] none = new long[wide.length];
    return Shapes.concat(wide, wide(strides), none, wide(dilation), new long[] {pads(window, strides, dilation) ? 1 : 0});
  }

  /** Tells whether anything is added: where a window is smaller than its stride, ND4J would work out less than nothing. */
  private boolean pads(long[] window, long[] strides, long[] dilation) {
    boolean any = false;
    for (int i = 0; i < axes(); i++) {
      long span = (window[i] - 1) * dilation[i] + 1;
      long places = (size(i) + strides[i] - 1) / strides[i];
      any |= (places - 1) * strides[i] + span > size(i);
    }
    return same && any;
  }

  /**
   * Tells whether a convolution has to stay off oneDNN: ND4J's calls of it fail for dilated ones.
   *
   * @param dilation the dilation
   * @return true if so
   */
  static boolean dilated(long[] dilation) {
    return Arrays.stream(dilation).anyMatch(d -> d > 1);
  }

  /**
   * Returns ND4J's flag for the data format.
   *
   * @return 1 for channels last
   */
  long formatFlag() {
    return channelsLast ? 1 : 0;
  }

  /**
   * Gives scratch memory in this data format.
   *
   * @param kernel whose scratch
   * @param type element type
   * @param channels how many channels
   * @param sizes the spatial sizes
   * @return the array
   */
  INDArray scratch(Kernel kernel, DataType type, long channels, long... sizes) {
    return kernel.scratch(type, shape(channels, sizes));
  }
}
