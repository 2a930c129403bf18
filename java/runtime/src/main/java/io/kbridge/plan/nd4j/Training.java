package io.kbridge.plan.nd4j;

import io.kbridge.plan.HostMemory;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.function.Supplier;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.LongPointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Operations that only training steps have. Random numbers are functions of a seed, which is the first input: the state of a seed generator.
 * They are those of TensorFlow's stateless random operations, word by word, so that a model which draws in training trains the same in Keras
 * and here. {@code StopGradient} gives its operand.
 */
public final class Training implements OpMappings {
  private static final int CHUNK = 4096;
  private static final float SMALLEST = 1e-7f;
  private static final double SMALLEST_DOUBLE = 1e-300;
  // How many blocks of the generator TensorFlow keeps for four numbers that may have to be drawn again.
  private static final long RESERVED = 256;
  private static final float CUT = 2f;

  /** Makes the family; for the service loader. */
  public Training() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("RandomUniform", context -> reals(context, Uniform::new, "minval", "maxval"));
    registry.op("RandomNormal", context -> reals(context, Normal::new, "mean", "stddev"));
    registry.op("RandomTruncatedNormal", context -> reals(context, Truncated::new, "mean", "stddev"));
    registry.op("RandomInt", Training::integers);
    registry.op("StopGradient", Training::operand);
  }

  private static Step operand(OpContext context) {
    context.alias(0, context.input(0));
    return null;
  }

  /** Gives the numbers of a distribution one after the other. */
  private abstract static class Source {
    final Philox philox = new Philox();
    long index;

    /** Starts again, from a seed. */
    void start(long first, long second) {
      philox.seed(first, second);
      index = 0;
    }

    /** Gives the next four numbers. */
    abstract void next(float[] into, int at);

    /** Gives the next two numbers. */
    abstract void next(double[] into, int at);
  }

  /** Uniform in [0, 1). */
  private static final class Uniform extends Source {
    @Override
    void next(float[] into, int at) {
      int[] words = philox.words(index++);
      for (int i = 0; i < 4; i++) {
        into[at + i] = Philox.real(words[i]);
      }
    }

    @Override
    void next(double[] into, int at) {
      int[] words = philox.words(index++);
      into[at] = Philox.real(words[0], words[1]);
      into[at + 1] = Philox.real(words[2], words[3]);
    }
  }

  /** Normally distributed, by Box and Muller. */
  private static class Normal extends Source {
    @Override
    void next(float[] into, int at) {
      int[] words = philox.words(index++);
      pair(words[0], words[1], into, at);
      pair(words[2], words[3], into, at + 2);
    }

    @Override
    void next(double[] into, int at) {
      int[] words = philox.words(index++);
      double u = Math.max(SMALLEST_DOUBLE, Philox.real(words[0], words[1]));
      double angle = 2 * Math.PI * Philox.real(words[2], words[3]);
      double radius = Math.sqrt(-2 * Math.log(u));
      into[at] = Math.sin(angle) * radius;
      into[at + 1] = Math.cos(angle) * radius;
    }

    static void pair(int first, int second, float[] into, int at) {
      float u = Math.max(SMALLEST, Philox.real(first));
      float angle = (float) (2 * Math.PI * Philox.real(second));
      float radius = (float) Math.sqrt(-2f * (float) Math.log(u));
      into[at] = (float) Math.sin(angle) * radius;
      into[at + 1] = (float) Math.cos(angle) * radius;
    }
  }

  /** Normally distributed, drawn again until the number is less than two deviations off. */
  private static final class Truncated extends Source {
    private final float[] pair = new float[2];

    @Override
    void next(float[] into, int at) {
      long block = index * RESERVED;
      index++;
      int found = 0;
      while (found < 4) {
        int[] words = philox.words(block++);
        for (int half = 0; half < 4 && found < 4; half += 2) {
          Normal.pair(words[half], words[half + 1], pair, 0);
          for (int i = 0; i < 2 && found < 4; i++) {
            if (Math.abs(pair[i]) < CUT) {
              into[at + found++] = pair[i];
            }
          }
        }
      }
    }

    @Override
    void next(double[] into, int at) {
      float[] four = new float[4];
      next(four, 0);
      into[at] = four[0];
      into[at + 1] = four[1];
    }
  }

  /** Draws numbers, then brings them to a range: {@code x * (b - a) + a} of bounds, {@code x * b + a} of moments. */
  private static Step reals(OpContext context, Supplier<Source> distribution, String first, String second) {
    INDArray z = context.allocate(0, context.dims("shape"));
    Kernel k = new Kernel(context);
    DataType type = Kernel.precise(z.dataType());
    INDArray drawn = k.computed(z, type);
    double low = context.attrs().getDouble(first);
    double scale = second.equals("maxval") ? context.attrs().getDouble(second) - low : context.attrs().getDouble(second);
    Source source = distribution.get();
    INDArray seed = seed(k, context);
    if (z.length() > 0) {
      k.then(type == DataType.DOUBLE ? doubles(source, seed, drawn, scale, low) : floats(source, seed, drawn, (float) scale, (float) low));
    }
    return k.round(drawn, z).step();
  }

  private static INDArray seed(Kernel k, OpContext context) {
    INDArray state = context.input(0);
    if (state.length() != 2) {
      throw k.unsupported("a seed of two numbers", state.shapeInfoToString());
    }
    return k.input(0, DataType.INT64);
  }

  private static void start(Source source, INDArray seed) {
    source.start(seed.data().getLong(seed.offset()), seed.data().getLong(seed.offset() + 1));
  }

  private static Step floats(Source source, INDArray seed, INDArray z, float scale, float low) {
    HostMemory memory = new HostMemory(z);
    FloatPointer to = new FloatPointer(memory.pointer());
    long length = z.length();
    float[] chunk = new float[CHUNK];
    return () -> {
      start(source, seed);
      for (long done = 0; done < length; done += CHUNK) {
        int count = (int) Math.min(CHUNK, length - done);
        for (int i = 0; i < count; i += 4) {
          source.next(chunk, i);
        }
        for (int i = 0; i < count; i++) {
          chunk[i] = chunk[i] * scale + low;
        }
        to.position(done).put(chunk, 0, count);
      }
      memory.publish();
    };
  }

  private static Step doubles(Source source, INDArray seed, INDArray z, double scale, double low) {
    HostMemory memory = new HostMemory(z);
    DoublePointer to = new DoublePointer(memory.pointer());
    long length = z.length();
    double[] chunk = new double[CHUNK];
    return () -> {
      start(source, seed);
      for (long done = 0; done < length; done += CHUNK) {
        int count = (int) Math.min(CHUNK, length - done);
        for (int i = 0; i < count; i += 2) {
          source.next(chunk, i);
        }
        for (int i = 0; i < count; i++) {
          chunk[i] = chunk[i] * scale + low;
        }
        to.position(done).put(chunk, 0, count);
      }
      memory.publish();
    };
  }

  /** {@code RandomInt}: words modulo the range, as TensorFlow draws integers. */
  private static Step integers(OpContext context) {
    INDArray z = context.allocate(0, context.dims("shape"));
    Kernel k = new Kernel(context);
    long low = context.attrs().getLong("minval");
    long range = context.attrs().getLong("maxval") - low;
    boolean wide = z.dataType() == DataType.INT64;
    if (range <= 0 || !wide && z.dataType() != DataType.INT32) {
      throw k.unsupported("int32 or int64 between bounds that differ", z.dataType() + " in a range of " + range);
    }
    INDArray seed = seed(k, context);
    if (z.length() == 0) {
      return k.step();
    }
    Philox philox = new Philox();
    long length = z.length();
    return k.then(wide ? longs(philox, seed, z, length, low, range) : ints(philox, seed, z, length, low, range)).step();
  }

  private static Step ints(Philox philox, INDArray seed, INDArray z, long length, long low, long range) {
    HostMemory memory = new HostMemory(z);
    IntPointer to = new IntPointer(memory.pointer());
    return () -> {
      philox.seed(seed.data().getLong(seed.offset()), seed.data().getLong(seed.offset() + 1));
      for (long i = 0; i < length; i++) {
        int word = philox.words(i / 4)[(int) (i % 4)];
        to.put(i, (int) (low + (word & 0xffffffffL) % range));
      }
      memory.publish();
    };
  }

  private static Step longs(Philox philox, INDArray seed, INDArray z, long length, long low, long range) {
    HostMemory memory = new HostMemory(z);
    LongPointer to = new LongPointer(memory.pointer());
    return () -> {
      philox.seed(seed.data().getLong(seed.offset()), seed.data().getLong(seed.offset() + 1));
      for (long i = 0; i < length; i++) {
        int[] words = philox.words(i / 2);
        int at = (int) (i % 2) * 2;
        long word = words[at] & 0xffffffffL | (long) words[at + 1] << 32;
        to.put(i, low + Long.remainderUnsigned(word, range));
      }
      memory.publish();
    };
  }
}
