package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.List;
import org.nd4j.linalg.factory.Nd4j;

/** {@code STFT} as other ops: the signal mirrored at its ends, frames of it, a window, a transform of each. */
final class Spectrogram {
  private Spectrogram() {}

  static List<Sym> frames(GradientContext c) {
    Emitter e = c.e();
    int length = c.attrs().getInt("fft_length");
    Sym x = c.attrs().getBoolean("center", true) ? mirrored(e, c.input(0), length / 2) : c.input(0);
    int last = x.rank() - 1;
    long count = c.output(0).size(last);
    long stride = c.attrs().getLong("sequence_stride");
    int[][] places = new int[(int) count][length];
    for (int frame = 0; frame < count; frame++) {
      for (int i = 0; i < length; i++) {
        places[frame][i] = (int) (frame * stride + i);
      }
    }
    long[] shape = new long[x.rank() + 1];
    System.arraycopy(x.shape(), 0, shape, 0, last);
    shape[last] = count;
    shape[last + 1] = length;
    Sym parts =
        e.node("Take", List.of(x, e.constant(Nd4j.createFromArray(places))), Emitter.attrs().put("axis", last), x.type(), shape);
    Sym windowed = e.mul(parts, e.constant(Nd4j.createFromArray(window(c, length)).castTo(x.type().dataType())));
    Sym real = new Sym(e.fresh("RFFT"), x.type(), c.output(0).shape());
    Sym imaginary = new Sym(e.fresh("RFFT"), x.type(), c.output(1).shape());
    e.add("RFFT", List.of(windowed), Emitter.attrs().put("fft_length", length), List.of(real, imaginary), List.of());
    return List.of(real, imaginary);
  }

  private static Sym mirrored(Emitter e, Sym x, long width) {
    long[] shape = x.shape();
    ObjectNode attrs = Emitter.attrs().put("mode", "reflect");
    ArrayNode widths = attrs.putArray("pad_width");
    for (int i = 0; i < shape.length; i++) {
      long around = i == shape.length - 1 ? width : 0;
      shape[i] += 2 * around;
      widths.addArray().add(around).add(around);
    }
    return e.node("Pad", List.of(x), attrs, x.type(), shape);
  }

  /** The window in the middle of ones; without a window, ones. */
  private static double[] window(GradientContext c, int length) {
    double[] window = new double[length];
    boolean given = c.attrs().has("window");
    int n = given ? c.attrs().getInt("sequence_length") : length;
    for (int i = 0; i < n; i++) {
      double wave = Math.cos(2 * Math.PI * i / n);
      double value = !given ? 1 : c.attrs().getString("window").equals("hann") ? 0.5 - 0.5 * wave : 0.54 - 0.46 * wave;
      // NB: TensorFlow makes its windows in float32.
      window[(length - n) / 2 + i] = (float) value;
    }
    return window;
  }
}
