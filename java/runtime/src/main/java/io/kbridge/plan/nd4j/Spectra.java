package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Fourier transforms, which ND4J has none of. They are computed in float64 and rounded once, so that they are at least as near to
 * the truth as Keras's own.
 */
public final class Spectra implements OpMappings {
  /** Makes the family; for the service loader. */
  public Spectra() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("FFT", Spectra::fft);
    registry.op("RFFT", Spectra::rfft);
    registry.op("STFT", Spectra::stft);
  }

  /** Fills the real and imaginary parts of one row, before it is transformed. */
  @FunctionalInterface
  private interface Row {
    void read(int row, double[] re, double[] im);
  }

  /** {@code FFT} of complex numbers, given as two arrays, on the last axis. */
  private static Step fft(OpContext context) {
    Kernel k = new Kernel(context);
    long[] shape = context.input(0).shape();
    int n = (int) shape[shape.length - 1];
    INDArray re = contiguous(k, context.input(0));
    INDArray im = contiguous(k, context.input(1));
    return rows(
        context,
        k,
        shape,
        n,
        (row, a, b) -> {
          for (int i = 0; i < n; i++) {
            a[i] = re.data().getDouble((long) row * n + i);
            b[i] = im.data().getDouble((long) row * n + i);
          }
        });
  }

  /** {@code RFFT} of real numbers on the last axis, cut or filled with zeros to {@code fft_length}. */
  private static Step rfft(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = contiguous(k, context.input(0));
    int last = x.rank() - 1;
    int n = (int) x.size(last);
    boolean given = context.attrs().has("fft_length") && !context.attrs().json("fft_length").isNull();
    int length = given ? (int) context.dim("fft_length") : n;
    return rows(
        context,
        k,
        Shapes.replace(x.shape(), last, length / 2 + 1),
        length,
        (row, re, im) -> {
          for (int i = 0; i < length; i++) {
            re[i] = i < n ? x.data().getDouble((long) row * n + i) : 0;
            im[i] = 0;
          }
        });
  }

  /** {@code STFT}: windows of the signal, each transformed; with {@code center} the signal is mirrored at both ends first. */
  private static Step stft(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = contiguous(k, context.input(0));
    int last = x.rank() - 1;
    int n = (int) x.size(last);
    int stride = context.attrs().getInt("sequence_stride");
    int length = context.attrs().getInt("fft_length");
    int pad = context.attrs().getBoolean("center", true) ? length / 2 : 0;
    int frames = 1 + (n + 2 * pad - length) / stride;
    double[] window = window(context, length);
    long[] shape = Shapes.insert(x.shape(), last, frames);
    shape[last + 1] = length / 2 + 1;
    return rows(
        context,
        k,
        shape,
        length,
        (row, re, im) -> {
          long signal = (long) (row / frames) * n;
          int start = row % frames * stride - pad;
          for (int i = 0; i < length; i++) {
            int at = Math.abs(start + i);
            at = at < n ? at : 2 * (n - 1) - at;
            re[i] = window[i] == 0 ? 0 : window[i] * x.data().getDouble(signal + at);
            im[i] = 0;
          }
        });
  }

  /** The window, in the middle of {@code length} numbers. */
  private static double[] window(OpContext context, int length) {
    int n = context.attrs().getInt("sequence_length");
    boolean given = context.attrs().has("window") && !context.attrs().json("window").isNull();
    String kind = given ? context.attrs().getString("window") : "none";
    double[] window = new double[length];
    for (int i = 0; i < n; i++) {
      double wave = Math.cos(2 * Math.PI * i / n);
      double value = kind.equals("hann") ? 0.5 - 0.5 * wave : kind.equals("hamming") ? 0.54 - 0.46 * wave : 1;
      // NB: TensorFlow makes its windows in float32.
      window[(length - n) / 2 + i] = (float) value;
    }
    if (!given) {
      // NB: without a window Keras does not cut the frames to the sequence's length.
      Arrays.fill(window, 1);
    }
    return window;
  }

  private static INDArray contiguous(Kernel k, INDArray x) {
    INDArray copy = k.scratchLike(x);
    k.copy(x, copy);
    return copy;
  }

  /** Transforms row after row; the real parts are output 0, the imaginary ones output 1, as many of each row as the shape says. */
  private static Step rows(OpContext context, Kernel k, long[] shape, int length, Row row) {
    INDArray re = context.allocate(0, shape);
    INDArray im = context.allocate(1, shape);
    INDArray foundRe = k.scratchLike(re);
    INDArray foundIm = k.scratchLike(im);
    Fourier fourier = new Fourier(length);
    int width = (int) shape[shape.length - 1];
    int count = (int) (Shapes.size(shape) / width);
    k.then(
        () -> {
          double[] a = new double[length];
          double[] b = new double[length];
          for (int r = 0; r < count; r++) {
            row.read(r, a, b);
            fourier.transform(a, b);
            write(a, foundRe.data(), r, width);
            write(b, foundIm.data(), r, width);
          }
        });
    return k.copy(foundRe, re).copy(foundIm, im).step();
  }

  private static void write(double[] from, DataBuffer to, int row, int width) {
    for (int i = 0; i < width; i++) {
      to.put((long) row * width + i, from[i]);
    }
  }
}
