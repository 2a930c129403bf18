package io.kbridge.samediff;

import io.kbridge.graph.ValueInfo;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;

/** How a convolution or pooling sees its input: channels last, and with two spatial axes where it has one. */
final class Images {
  private final SameDiffNode node;
  private final int axes;
  private final boolean channelsLast;

  Images(SameDiffNode node) {
    this.node = node;
    this.axes = node.rank(0) - 2;
    this.channelsLast = node.attrs().getString("data_format", "channels_last").equals("channels_last");
    String padding = node.attrs().getString("padding", "valid");
    if (axes < 1 || axes > 3 || !node.type().isFPType() || !(padding.equals("same") || padding.equals("valid"))) {
      throw new Refusal("other images than floating-point ones with 1 to 3 spatial axes");
    }
  }

  int axes() {
    return axes;
  }

  boolean same() {
    return node.attrs().getString("padding", "valid").equals("same");
  }

  /** The number of channels. */
  long channels() {
    long channels = node.shape(0)[channelsLast ? axes + 1 : 1];
    if (channels == ValueInfo.ANY) {
      throw new Refusal("channels whose number is known at call time only");
    }
    return channels;
  }

  /** A spatial size, which may be {@link ValueInfo#ANY}. */
  long size(int i) {
    return node.shape(0)[i + (channelsLast ? 1 : 2)];
  }

  /** The input, channels last, with a first spatial axis of size 1 where it has one. */
  SDVariable input(DataType type) {
    SDVariable x = node.in(0, type);
    if (!channelsLast) {
      x = LayoutOps.permute(x, order(0, 1));
    }
    return axes == 1 ? node.sd().expandDims(x, 1) : x;
  }

  /** A kernel, with a first spatial axis of size 1 where the input gets one. */
  SDVariable kernel(int input, DataType type) {
    SDVariable w = node.in(input, type);
    return axes == 1 ? node.sd().expandDims(w, 0) : w;
  }

  /** Gives the result, its axes as the node has them. */
  void give(SDVariable result) {
    SDVariable z = axes == 1 ? node.sd().squeeze(result, 1) : result;
    if (!channelsLast) {
      int[] order = new int[axes + 2];
      order[1] = axes + 1;
      for (int i = 0; i < axes; i++) {
        order[i + 2] = i + 1;
      }
      z = LayoutOps.permute(z, order);
    }
    node.give(z);
  }

  private int[] order(int batch, int channels) {
    return IntStream.range(0, axes + 2).map(i -> i == 0 ? batch : i == axes + 1 ? channels : i + 1).toArray();
  }

  /** An attribute with a number for each spatial axis. */
  long[] perAxis(String name, long[] otherwise) {
    return wide(node.attrs().has(name) ? node.attrs().getLongs(name) : otherwise);
  }

  long[] wide(long... values) {
    return axes == 1 ? new long[] {1, values[0]} : values;
  }

  static long[] ones(int n) {
    long[] ones = new long[n];
    Arrays.fill(ones, 1);
    return ones;
  }

  SameDiff sd() {
    return node.sd();
  }
}
