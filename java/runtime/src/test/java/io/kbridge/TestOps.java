package io.kbridge;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** The few float32 ops the tests need, computed by plain loops: what is tested is the plan. Notes what is compiled. */
public final class TestOps implements OpMappings {
  /** Names of the nodes compiled so far, in order. */
  public final List<String> compiled = Collections.synchronizedList(new ArrayList<>());

  /** Returns a registry of these ops alone. */
  public OpRegistry registry() {
    return new OpRegistry().add(this);
  }

  @Override
  public void register(OpRegistry registry) {
    registry.op("Matmul", this::matmul);
    registry.op("Add", context -> binary(context, (a, b) -> a + b));
    registry.op("Multiply", context -> binary(context, (a, b) -> a * b));
    registry.op("Relu", this::relu);
    registry.op("Reshape", this::reshape);
    registry.op("Split", this::split);
  }

  interface Binary {
    float apply(float a, float b);
  }

  private Step matmul(OpContext context) {
    compiled.add(context.node().name());
    INDArray a = context.input(0);
    INDArray b = context.input(1);
    INDArray c = context.allocate(0, a.size(0), b.size(1));
    return () -> {
      for (long i = 0; i < c.size(0); i++) {
        for (long j = 0; j < c.size(1); j++) {
          float sum = 0;
          for (long k = 0; k < a.size(1); k++) {
            sum += a.getFloat(i, k) * b.getFloat(k, j);
          }
          c.putScalar(i, j, sum);
        }
      }
    };
  }

  /** Operands of one length, or the second one repeated. */
  private Step binary(OpContext context, Binary function) {
    compiled.add(context.node().name());
    INDArray a = context.input(0);
    INDArray b = context.input(1);
    INDArray c = context.allocate(0, a.shape());
    return () -> {
      for (long i = 0; i < c.length(); i++) {
        put(c, i, function.apply(get(a, i), get(b, i % b.length())));
      }
    };
  }

  private Step relu(OpContext context) {
    compiled.add(context.node().name());
    INDArray x = context.input(0);
    INDArray y = context.allocate(0, x.shape());
    INDArray temporary = context.scratch(DataType.FLOAT, x.shape());
    return () -> {
      for (long i = 0; i < y.length(); i++) {
        put(temporary, i, get(x, i));
      }
      for (long i = 0; i < y.length(); i++) {
        put(y, i, Math.max(0, get(temporary, i)));
      }
    };
  }

  private Step reshape(OpContext context) {
    compiled.add(context.node().name());
    context.alias(0, context.input(0).reshape('c', context.dims("newshape")));
    return null;
  }

  /** Two outputs: the halves of a flat array. */
  private Step split(OpContext context) {
    compiled.add(context.node().name());
    INDArray x = context.input(0);
    INDArray low = context.allocate(0, x.length() / 2);
    INDArray high = context.allocate(1, x.length() / 2);
    return () -> {
      for (long i = 0; i < low.length(); i++) {
        put(low, i, get(x, i));
        put(high, i, get(x, i + low.length()));
      }
    };
  }

  /** Reads by position in memory: arrays of a plan are dense, in 'c' order. */
  private static float get(INDArray array, long i) {
    return array.data().getFloat(array.offset() + i);
  }

  private static void put(INDArray array, long i, float value) {
    array.data().put(array.offset() + i, value);
  }
}
