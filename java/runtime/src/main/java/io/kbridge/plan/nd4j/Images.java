package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Rint;
import org.nd4j.linalg.factory.Nd4j;

/** Operations on images: {@code [height, width, channels]} or {@code [channels, height, width]}, in batches or not. */
public final class Images implements OpMappings {
  /** Makes the family; for the service loader. */
  public Images() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Resize", Images::resize);
    registry.op("RGBToGrayscale", Images::grayscale);
    registry.op("RGBToHSV", context -> colours(context, "rgb_to_hsv"));
    registry.op("HSVToRGB", context -> colours(context, "hsv_to_rgb"));
    registry.op("DepthToSpace", context -> blocks(context, true));
    registry.op("SpaceToDepth", context -> blocks(context, false));
    registry.op("ExtractPatches", Images::extractPatches);
  }

  private static boolean channelsLast(OpContext context) {
    return context.attrs().getString("data_format", "channels_last").equals("channels_last");
  }

  /**
   * {@code Resize}: along each spatial axis by a matrix of weights made here after TensorFlow's rules, or by indices for
   * {@code nearest}. ND4J's {@code image_resize} has no such bicubic downscale, and no antialiasing that could be relied on.
   */
  private static Step resize(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int height = x.rank() - (channelsLast(context) ? 3 : 2);
    long[] size = context.dims("size");
    long[] shape = Shapes.replace(Shapes.replace(x.shape(), height, size[0]), height + 1, size[1]);
    INDArray z = context.allocate(0, shape);
    INDArray source = fitted(context, k, x, height, size);
    String method = context.attrs().getString("interpolation", "bilinear");
    if (source.size(height) == size[0] && source.size(height + 1) == size[1]) {
      return k.copy(source, z).step();
    }
    if (method.equals("nearest")) {
      INDArray rows = k.scratch(x.dataType(), Shapes.replace(source.shape(), height, size[0]));
      nearest(k, source, rows, height);
      nearest(k, rows, z, height + 1);
      return k.step();
    }
    DataType type = x.dataType() == DataType.DOUBLE ? DataType.DOUBLE : DataType.FLOAT;
    boolean antialias = context.attrs().getBoolean("antialias", false);
    INDArray wide = k.as(source, type);
    String axes = "abcdef".substring(0, x.rank());
    Contraction.Labelled result = new Contraction.Labelled(wide, axes);
    for (int axis = height; axis < height + 2; axis++) {
      double[][] weights = ResizeWeights.of(context, method, antialias, (int) source.size(axis), (int) shape[axis]);
      INDArray matrix = Nd4j.createFromArray(weights).castTo(type);
      char from = axes.charAt(axis);
      String next = result.labels().replace(from, Character.toUpperCase(from));
      String matrixLabels = "" + Character.toUpperCase(from) + from;
      result = Contraction.multiply(k, result, new Contraction.Labelled(matrix, matrixLabels), next);
    }
    String target = axes.replace(axes.charAt(height), Character.toUpperCase(axes.charAt(height)));
    target = target.replace(axes.charAt(height + 1), Character.toUpperCase(axes.charAt(height + 1)));
    return narrowed(k, result, target, z).step();
  }

  /** Rounds and clips to the type of the images, as Keras does. */
  private static Kernel narrowed(Kernel k, Contraction.Labelled result, String labels, INDArray z) {
    if (result.array().dataType() == z.dataType()) {
      Contraction.store(k, result, labels, z);
      return k;
    }
    INDArray wide = k.scratch(result.array().dataType(), z.shape());
    Contraction.store(k, result, labels, wide);
    if (z.dataType().isFPType()) {
      return k.cast(wide, z);
    }
    int bits = z.dataType().width() * 8;
    boolean unsigned = Elementwise.isUnsigned(z.dataType());
    INDArray clipped = k.scratchLike(wide);
    k.legacy(new Rint(wide, wide));
    double high = Math.pow(2, unsigned ? bits : bits - 1) - 1;
    Elementwise.clip(k, wide, clipped, unsigned ? 0 : -high - 1, high);
    return k.cast(clipped, z);
  }

  /** The images, cut or padded to the aspect ratio asked for. */
  private static INDArray fitted(OpContext context, Kernel k, INDArray x, int height, long[] size) {
    boolean crop = context.attrs().getBoolean("crop_to_aspect_ratio", false);
    boolean pad = context.attrs().getBoolean("pad_to_aspect_ratio", false);
    if (!crop && !pad) {
      return x;
    }
    long h = x.size(height);
    long w = x.size(height + 1);
    long ratioHeight = (long) ((float) (w * size[0]) / size[1]);
    long ratioWidth = (long) ((float) (h * size[1]) / size[0]);
    if (crop) {
      long newHeight = Math.max(1, Math.min(h, ratioHeight));
      long newWidth = Math.max(1, Math.min(w, ratioWidth));
      INDArray view = Views.range(x, height, (long) ((h - newHeight) / 2f), newHeight);
      view = Views.range(view, height + 1, (long) ((w - newWidth) / 2f), newWidth);
      INDArray copy = k.scratchLike(view);
      k.copy(view, copy);
      return copy;
    }
    long top = (long) ((Math.max(h, ratioHeight) - h) / 2f);
    long left = (long) ((Math.max(w, ratioWidth) - w) / 2f);
    long[] shape = Shapes.replace(Shapes.replace(x.shape(), height, h + 2 * top), height + 1, w + 2 * left);
    INDArray padded = k.scratch(x.dataType(), shape);
    k.fill(padded, context.attrs().getDouble("fill_value", 0));
    k.copy(x, Views.range(Views.range(padded, height, top, h), height + 1, left, w));
    return padded;
  }

  private static void nearest(Kernel k, INDArray x, INDArray z, int axis) {
    float scale = (float) x.size(axis) / z.size(axis);
    for (long i = 0; i < z.size(axis); i++) {
      long from = Math.min(x.size(axis) - 1, (long) Math.floor((i + 0.5f) * scale));
      k.copy(Views.range(x, axis, from, 1), Views.range(z, axis, i, 1));
    }
  }

  /** {@code RGBToGrayscale}: Keras's weights; images of one channel stay. */
  private static Step grayscale(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int axis = channelsLast(context) ? x.rank() - 1 : x.rank() - 3;
    INDArray z = context.allocate(0, Shapes.replace(x.shape(), axis, 1));
    if (x.size(axis) == 1) {
      return k.copy(x, z).step();
    }
    DataType type = x.dataType().isFPType() ? x.dataType() : DataType.FLOAT;
    INDArray wide = k.as(x, type);
    long[] along = Shapes.replace(Shapes.ones(x.rank()), axis, 3);
    INDArray weights = Nd4j.createFromArray(0.2989, 0.5870, 0.1140).castTo(type);
    INDArray products = k.scratchLike(wide);
    INDArray sum = k.scratch(type, z.shape());
    k.binary("multiply", wide, Views.reshape(weights, along), products).reduce("reduce_sum", products, sum, axis);
    return (z.dataType() == type ? k.copy(sum, z) : k.cast(sum, z)).step();
  }

  private static Step colours(OpContext context, String name) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    int axis = channelsLast(context) ? x.rank() - 1 : x.rank() - 3;
    return k.op(name).in(x).out(z).ints(axis).add().step();
  }

  /** {@code DepthToSpace}, {@code SpaceToDepth}: one copy of a permuted view. */
  private static Step blocks(OpContext context, boolean spread) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    boolean last = channelsLast(context);
    long n = context.dim("block_size");
    long h = x.size(last ? 1 : 2);
    long w = x.size(last ? 2 : 3);
    long c = x.size(last ? 3 : 1);
    long height = spread ? h * n : h / n;
    long width = spread ? w * n : w / n;
    long channels = spread ? c / (n * n) : c * n * n;
    long b = x.size(0);
    INDArray z = context.allocate(0, last ? new long[] {b, height, width, channels} : new long[] {b, channels, height, width});
    // Six axes: batch, rows, row in the block, columns, column in the block, channels; in the order the data have them.
    INDArray deep = spread ? x : z;
    INDArray wide = spread ? z : x;
    long rows = Math.min(h, height);
    long columns = Math.min(w, width);
    long depth = Math.min(c, channels);
    INDArray a =
        last
            ? Views.permute(Views.reshape(deep, b, rows, columns, n, n, depth), 0, 1, 3, 2, 4, 5)
            : Views.permute(Views.reshape(deep, b, n, n, depth, rows, columns), 0, 3, 4, 1, 5, 2);
    INDArray d =
        last ? Views.reshape(wide, b, rows, n, columns, n, depth) : Views.reshape(wide, b, depth, rows, n, columns, n);
    return (spread ? k.copy(a, d) : k.copy(d, a)).step();
  }

  /** {@code ExtractPatches} of images in two dimensions: a copy of one shifted view for each place in the patch. */
  private static Step extractPatches(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    long[] size = pair(context, "size", null);
    if (size.length != 2 || x.rank() != 4) {
      throw k.unsupported("batches of images with two spatial axes", Arrays.toString(x.shape()));
    }
    long[] strides = pair(context, "strides", size);
    long[] rates = pair(context, "dilation_rate", new long[] {1, 1});
    int axis = channelsLast(context) ? 1 : 2;
    int channel = channelsLast(context) ? 3 : 1;
    boolean same = context.attrs().getString("padding", "valid").equals("same");
    long[] out = new long[2];
    long[] before = new long[2];
    long[] padded = x.shape().clone();
    for (int i = 0; i < 2; i++) {
      long span = (size[i] - 1) * rates[i] + 1;
      long in = x.size(axis + i);
      out[i] = same ? (in + strides[i] - 1) / strides[i] : (in - span) / strides[i] + 1;
      long total = same ? Math.max(0, (out[i] - 1) * strides[i] + span - in) : 0;
      before[i] = total / 2;
      padded[axis + i] = in + total;
    }
    INDArray source = x;
    if (!Arrays.equals(padded, x.shape())) {
      source = k.scratch(x.dataType(), padded);
      k.fill(source, 0);
      INDArray middle = Views.range(source, axis, before[0], x.size(axis));
      k.copy(x, Views.range(middle, axis + 1, before[1], x.size(axis + 1)));
    }
    long c = x.size(channel);
    long[] part = Shapes.replace(Shapes.replace(x.shape(), axis, out[0]), axis + 1, out[1]);
    INDArray z = context.allocate(0, Shapes.replace(part, channel, size[0] * size[1] * c));
    long[] steps = Shapes.replace(Shapes.replace(Shapes.ones(4), axis, strides[0]), axis + 1, strides[1]);
    for (long i = 0; i < size[0] * size[1]; i++) {
      long[] start = new long[4];
      start[axis] = i / size[1] * rates[0];
      start[axis + 1] = i % size[1] * rates[1];
      k.copy(Views.slice(source, start, part, steps), Views.range(z, channel, i * c, c));
    }
    return k.step();
  }

  private static long[] pair(OpContext context, String name, long[] otherwise) {
    if (!context.attrs().has(name)) {
      return otherwise;
    }
    if (context.attrs().json(name).isArray()) {
      return context.dims(name);
    }
    long n = context.dim(name);
    return new long[] {n, n};
  }
}
