package io.kbridge.samediff;

import java.util.stream.IntStream;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.linalg.factory.Nd4j;

/** Operations on images. */
public final class ImageOps implements SameDiffMappings {
  /** Makes the family; for the service loader. */
  public ImageOps() {}

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("Resize", ImageOps::resize);
    registry.op("RGBToGrayscale", ImageOps::grayscale);
  }

  private static boolean channelsLast(SameDiffNode node) {
    return node.attrs().getString("data_format", "channels_last").equals("channels_last");
  }

  /** Nearest neighbours, by their indices. */
  private static void resize(SameDiffNode node) {
    if (!node.attrs().getString("interpolation", "bilinear").equals("nearest")) {
      throw new Refusal("interpolation other than nearest");
    }
    if (node.attrs().getBoolean("crop_to_aspect_ratio", false) || node.attrs().getBoolean("pad_to_aspect_ratio", false)) {
      throw new Refusal("an aspect ratio that is kept");
    }
    int height = node.rank(0) - (channelsLast(node) ? 3 : 2);
    SDVariable x = node.in(0);
    for (int i = 0; i < 2; i++) {
      int from = (int) node.shape(0)[height + i];
      int to = (int) node.known(node.attrs().json("size").get(i));
      if (from < 0) {
        throw new Refusal("images of a size that is known at call time only");
      }
      float scale = (float) from / to;
      int[] indices = IntStream.range(0, to).map(k -> Math.min(from - 1, (int) Math.floor((k + 0.5f) * scale))).toArray();
      x = from == to ? x : node.sd().gather(x, node.sd().constant(Nd4j.createFromArray(indices)), height + i);
    }
    node.give(x);
  }

  private static void grayscale(SameDiffNode node) {
    int axis = channelsLast(node) ? node.rank(0) - 1 : node.rank(0) - 3;
    SDVariable x = node.in(0);
    if (node.shape(0)[axis] == 1 || !node.type().isFPType()) {
      if (node.shape(0)[axis] != 1) {
        throw new Refusal("images of integers");
      }
      node.give(x);
      return;
    }
    long[] along = Images.ones(node.rank(0));
    along[axis] = 3;
    SDVariable weights = node.sd().constant(Nd4j.createFromArray(0.2989, 0.5870, 0.1140).castTo(node.type()).reshape(along));
    node.give(x.mul(weights).sum(true, axis));
  }
}
