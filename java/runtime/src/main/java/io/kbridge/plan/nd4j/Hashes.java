package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.function.LongUnaryOperator;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Hashes of integers, bit by bit those of TensorFlow, which Keras's hashing layers use: an integer is hashed as its decimal text, by
 * FarmHash's {@code Fingerprint64}, or with a salt by SipHash-2-4; crossed features are chained by TensorFlow's {@code
 * FingerprintCat64}.
 */
public final class Hashes implements OpMappings {
  private static final long K0 = 0xc3a5c85c97cb3127L;
  private static final long K1 = 0xb492b66fbe98f273L;
  private static final long K2 = 0x9ae16a3b2f90404fL;
  private static final long CROSS = 0xc6a4a7935bd1e995L;
  private static final long CROSS_START = 0xDECAFCAFFEL;

  /** Makes the family; for the service loader. */
  public Hashes() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Hashing", Hashes::hashing);
    registry.op("HashedCrossing", Hashes::crossing);
  }

  /** {@code Hashing}: the bin of each integer. */
  private static Step hashing(OpContext context) {
    long bins = context.attrs().getLong("num_bins");
    boolean salted = context.attrs().has("salt") && !context.attrs().json("salt").isNull();
    long[] salt = salted ? context.attrs().getLongs("salt") : new long[2];
    LongUnaryOperator bin =
        value -> {
          byte[] text = Long.toString(value).getBytes(StandardCharsets.US_ASCII);
          long hash = salted ? sipHash(salt[0], salt[1], text) : farmHash(text);
          return Long.remainderUnsigned(hash, bins);
        };
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    Kernel k = new Kernel(context);
    INDArray source = k.scratch(DataType.INT64, x.shape());
    INDArray found = k.scratch(DataType.INT64, x.shape());
    k.cast(x, source)
        .then(
            () -> {
              for (long i = 0; i < source.length(); i++) {
                found.data().put(i, bin.applyAsLong(source.data().getLong(i)));
              }
            });
    return k.cast(found, z).step();
  }

  /** {@code HashedCrossing}: the bin of each tuple of integers. */
  private static Step crossing(OpContext context) {
    long bins = context.attrs().getLong("num_bins");
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    INDArray found = k.scratch(DataType.INT64, z.shape());
    INDArray[] sources = new INDArray[context.inputCount()];
    for (int i = 0; i < sources.length; i++) {
      sources[i] = k.scratch(DataType.INT64, z.shape());
      k.cast(context.input(i), sources[i]);
    }
    k.then(
        () -> {
          for (long i = 0; i < found.length(); i++) {
            long hash = CROSS_START;
            for (INDArray source : sources) {
              hash = chained(hash, source.data().getLong(i));
            }
            found.data().put(i, Long.remainderUnsigned(hash, bins));
          }
        });
    return k.cast(found, z).step();
  }

  private static long chained(long hash, long next) {
    long result = hash ^ CROSS;
    result ^= mixed(next * CROSS) * CROSS;
    result *= CROSS;
    result = mixed(result) * CROSS;
    return mixed(result);
  }

  private static long mixed(long value) {
    return value ^ (value >>> 47);
  }

  /** FarmHash's {@code Fingerprint64} of a text of 1 to 32 bytes; a decimal long has 20 at most. */
  private static long farmHash(byte[] text) {
    ByteBuffer s = ByteBuffer.wrap(text).order(ByteOrder.LITTLE_ENDIAN);
    int n = text.length;
    long mul = K2 + n * 2L;
    if (n > 16) {
      long a = s.getLong(0) * K1;
      long b = s.getLong(8);
      long c = s.getLong(n - 8) * mul;
      long d = s.getLong(n - 16) * K2;
      long u = Long.rotateRight(a + b, 43) + Long.rotateRight(c, 30) + d;
      return folded(u, a + Long.rotateRight(b + K2, 18) + c, mul);
    }
    if (n >= 8) {
      long a = s.getLong(0) + K2;
      long b = s.getLong(n - 8);
      long c = Long.rotateRight(b, 37) * mul + a;
      return folded(c, (Long.rotateRight(a, 25) + b) * mul, mul);
    }
    if (n >= 4) {
      long a = Integer.toUnsignedLong(s.getInt(0));
      return folded(n + (a << 3), Integer.toUnsignedLong(s.getInt(n - 4)), mul);
    }
    long y = text[0] + ((long) text[n >> 1] << 8);
    long z = n + ((long) text[n - 1] << 2);
    return mixed(y * K2 ^ z * K0) * K2;
  }

  private static long folded(long u, long v, long mul) {
    long a = mixed((u ^ v) * mul);
    return mixed((v ^ a) * mul) * mul;
  }

  /** SipHash-2-4. */
  private static long sipHash(long k0, long k1, byte[] text) {
    long[] v = {k0 ^ 0x736f6d6570736575L, k1 ^ 0x646f72616e646f6dL, k0 ^ 0x6c7967656e657261L, k1 ^ 0x7465646279746573L};
    ByteBuffer padded = ByteBuffer.allocate((text.length / 8 + 1) * 8).order(ByteOrder.LITTLE_ENDIAN);
    padded.put(text);
    padded.put(padded.capacity() - 1, (byte) text.length);
    for (int i = 0; i < padded.capacity(); i += 8) {
      long word = padded.getLong(i);
      v[3] ^= word;
      rounds(v, 2);
      v[0] ^= word;
    }
    v[2] ^= 0xff;
    rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
  }

  private static void rounds(long[] v, int count) {
    for (int i = 0; i < count; i++) {
      v[0] += v[1];
      v[1] = Long.rotateLeft(v[1], 13) ^ v[0];
      v[0] = Long.rotateLeft(v[0], 32);
      v[2] += v[3];
      v[3] = Long.rotateLeft(v[3], 16) ^ v[2];
      v[0] += v[3];
      v[3] = Long.rotateLeft(v[3], 21) ^ v[0];
      v[2] += v[1];
      v[1] = Long.rotateLeft(v[1], 17) ^ v[2];
      v[2] = Long.rotateLeft(v[2], 32);
    }
  }
}
