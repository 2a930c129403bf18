package io.kbridge.plan.onednn;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import org.bytedeco.dnnl.memory;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.Test;

public class WeightsTest {
  private static final int COUNT = 300_000;

  @Test
  public void whatIsUsedStaysWhereItIsWhenTheRestIsDropped() {
    try (Weights weights = new Weights(() -> {});
        Weights.Use kept = new Weights.Use(weights)) {
      memory one = numbers(kept, "one", 1);
      long before;
      try (Weights.Use dropped = new Weights.Use(weights)) {
        numbers(dropped, "two", 2);
        kept.packMissing();
        dropped.packMissing();
        before = Pointer.totalBytes();
      }
      weights.dropUnused();
      // NB: the handle of the dropped weights is gone, the memory that holds all of them is not.
      assertTrue(before - Pointer.totalBytes() < COUNT);
      memory three = numbers(kept, "three", 3);
      kept.packMissing();
      assertArrayEquals(filled(1), content(one), 0);
      assertArrayEquals(filled(3), content(three), 0);
    }
  }

  @Test
  public void whatAClosedPlanAskedForIsPackedForAnotherOne() {
    AtomicInteger packed = new AtomicInteger();
    try (Weights weights = new Weights(packed::incrementAndGet);
        Weights.Use kept = new Weights.Use(weights);
        Ground ground = new Ground()) {
      memory one;
      try (Weights.Use closed = new Weights.Use(weights)) {
        one = numbers(closed, "one", 1);
        numbers(closed, "two", 2);
        closed.borrowMissing(ground, false);
      }
      assertSame(one, numbers(kept, "one", 4));
      memory three = numbers(kept, "three", 3);
      kept.packMissing();
      kept.packMissing();
      assertEquals(2, packed.get());
      assertArrayEquals(filled(1), content(one), 0);
      assertArrayEquals(filled(3), content(three), 0);
    }
  }

  @Test
  public void whatAlikePlansBothReadLiesWhereNothingWasWritten() {
    int large = (int) (2 * Ground.CACHE / Float.BYTES + 1);
    try (Weights weights = new Weights(() -> {});
        Weights.Use one = new Weights.Use(weights);
        Weights.Use other = new Weights.Use(weights);
        Ground ground = new Ground()) {
      memory common = one.numbers("common", OneDnn.plain(large), () -> new float[large]);
      assertSame(common, other.numbers("common", OneDnn.plain(large), () -> new float[large]));
      memory own = one.numbers("own", OneDnn.plain(large), () -> new float[large]);
      one.borrowMissing(ground, true);
      assertEquals(ground.blank(1).address(), common.get_data_handle().address());
      assertEquals(ground.memory(1).address(), own.get_data_handle().address());
      one.borrowMissing(ground, false);
      other.borrowMissing(ground, false);
      assertEquals(ground.memory(1).address(), common.get_data_handle().address());
    }
  }

  private static memory numbers(Weights.Use use, String key, float value) {
    return use.numbers(key, OneDnn.plain(COUNT), () -> filled(value));
  }

  private static float[] filled(float value) {
    float[] numbers = new float[COUNT];
    Arrays.fill(numbers, value);
    return numbers;
  }

  private static float[] content(memory memory) {
    float[] numbers = new float[COUNT];
    new FloatPointer(memory.get_data_handle()).get(numbers);
    return numbers;
  }
}
