package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.nd4j.linalg.factory.Nd4j;

/** Rules of operations on images, and of special functions. */
public final class ImageRules implements GradientRules {
  /** Makes the family; for the service loader. */
  public ImageRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.rule("Resize", ImageRules::resize);
    registry.rule("RGBToGrayscale", ImageRules::grayscale);
    registry.rule("ExtractPatches", Positions.rule(0));
    registry.none("RGBToHSV", "colours have no gradient here; convert them before the model");
    registry.none("HSVToRGB", "TensorFlow has no gradient of it either; convert colours before the model");
    registry.composed("Diff", ImageRules::diff);
    registry.composed("PSNR", ImageRules::psnr);
    registry.composed("Sparsemax", ImageRules::sparsemax);
  }

  private static boolean channelsLast(GradientContext c) {
    return c.attrs().getString("data_format", "channels_last").equals("channels_last");
  }

  /** Resizing is a product with a matrix for each axis; an image of ones on the diagonal becomes that matrix. */
  private static void resize(GradientContext c) {
    if (c.attrs().getBoolean("crop_to_aspect_ratio", false) || c.attrs().getBoolean("pad_to_aspect_ratio", false)) {
      c.through(ImageRules::fitted);
      return;
    }
    Emitter e = c.e();
    Sym x = c.input(0);
    int height = x.rank() - (channelsLast(c) ? 3 : 2);
    Sym rows = matrix(c, x.size(height), c.output(0).size(height), x);
    Sym columns = matrix(c, x.size(height + 1), c.output(0).size(height + 1), x);
    StringBuilder from = new StringBuilder("abcdef".substring(0, x.rank()));
    StringBuilder to = new StringBuilder(from);
    from.setCharAt(height, 'y');
    from.setCharAt(height + 1, 'z');
    String terms = from + ",y" + to.charAt(height) + ",z" + to.charAt(height + 1) + "->" + to;
    c.give(
        0,
        e.node("Einsum", List.of(c.gradient(0), rows, columns), Emitter.attrs().put("subscripts", terms), x.type(), x.shape()));
  }

  /** Cuts or pads to the aspect ratio asked for, then resizes. */
  private static List<Sym> fitted(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    int height = x.rank() - (channelsLast(c) ? 3 : 2);
    long h = x.size(height);
    long w = x.size(height + 1);
    long[] size = c.attrs().getLongs("size");
    long ratioHeight = (long) ((float) (w * size[0]) / size[1]);
    long ratioWidth = (long) ((float) (h * size[1]) / size[0]);
    Sym fitted;
    if (c.attrs().getBoolean("crop_to_aspect_ratio", false)) {
      long newHeight = Math.max(1, Math.min(h, ratioHeight));
      long newWidth = Math.max(1, Math.min(w, ratioWidth));
      Sym rows = e.slice(x, height, (long) ((h - newHeight) / 2f), newHeight);
      fitted = e.slice(rows, height + 1, (long) ((w - newWidth) / 2f), newWidth);
    } else {
      // NB: what the gap is filled with makes no difference to the gradient.
      long[] around = new long[x.rank()];
      around[height] = (long) ((Math.max(h, ratioHeight) - h) / 2f);
      around[height + 1] = (long) ((Math.max(w, ratioWidth) - w) / 2f);
      fitted = e.pad(x, around, around);
    }
    ObjectNode attrs = c.attrs().json().deepCopy();
    attrs.put("crop_to_aspect_ratio", false).put("pad_to_aspect_ratio", false);
    return List.of(e.node("Resize", List.of(fitted), attrs, x.type(), c.output(0).shape()));
  }

  private static Sym matrix(GradientContext c, long in, long out, Sym like) {
    Emitter e = c.e();
    Sym ones = e.reshape(e.constant(Nd4j.eye(in).castTo(like.type().dataType())), in, 1, in);
    ObjectNode attrs = c.attrs().json().deepCopy();
    Emitter.put(attrs, "size", out, 1).put("data_format", "channels_last");
    return e.reshape(e.node("Resize", List.of(ones), attrs, like.type(), out, 1, in), out, in);
  }

  private static void grayscale(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    int axis = channelsLast(c) ? x.rank() - 1 : x.rank() - 3;
    if (x.size(axis) == 1) {
      c.give(0, c.gradient(0));
      return;
    }
    long[] along = IntStream.range(0, x.rank()).mapToLong(i -> i == axis ? 3 : 1).toArray();
    Sym weights = e.reshape(e.constant(Nd4j.createFromArray(0.2989, 0.5870, 0.1140).castTo(x.type().dataType())), along);
    c.give(0, e.mul(c.gradient(0), weights));
  }

  private static List<Sym> diff(GradientContext c) {
    Emitter e = c.e();
    int axis = c.attrs().getInt("axis");
    Sym x = c.input(0);
    for (long i = 0; i < c.attrs().getLong("n", 1); i++) {
      long left = Math.max(0, x.size(axis) - 1);
      x = e.sub(e.slice(x, axis, Math.min(1, x.size(axis)), left), e.slice(x, axis, 0, left));
    }
    return List.of(x);
  }

  private static List<Sym> psnr(GradientContext c) {
    Emitter e = c.e();
    Sym away = e.sub(c.typedInput(0), c.typedInput(1));
    Sym error = e.reduce("Mean", e.square(away), false, IntStream.range(0, away.rank()).toArray());
    return List.of(e.mul(e.log(error), -10 / Math.log(10)));
  }

  /** Keras's formula, its sum of running sums included. */
  private static List<Sym> sparsemax(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    int axis = c.attrs().getInt("axis");
    ObjectNode along = Emitter.attrs().put("axis", axis);
    Sym sorted = ReductionRules.flip(e, e.node("Sort", List.of(x), along, x.type(), x.shape()), axis);
    Sym sums = e.node("Cumsum", List.of(sorted), along, x.type(), x.shape());
    long[] shape = IntStream.range(0, x.rank()).mapToLong(i -> i == axis ? x.size(axis) : 1).toArray();
    Sym numbers = e.reshape(e.constant(Nd4j.createFromArray(LongStream.rangeClosed(1, x.size(axis)).toArray()).castTo(x.type().dataType())), shape);
    Sym support = e.compare("Greater", e.sub(sorted, e.div(e.sub(sums, 1), numbers)), 0);
    Sym safe = e.where(support, sums, e.constant(x.type(), 0));
    Sym count = e.sum(e.cast(support, x.type()), true, axis);
    Sym tau = e.div(e.sub(e.sum(safe, true, axis), 1), count);
    return List.of(e.maximum(e.sub(x, tau), 0));
  }
}
