package io.kbridge.plan.onednn;

import static org.junit.Assert.assertEquals;

import java.util.concurrent.atomic.AtomicInteger;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.reorder;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.Test;

public class PortionsTest {
  // NB: no multiples of a block, and more than two portions.
  private static final long COLUMNS = 1003;
  private static final long INNER = 20_011;

  @Test
  public void portionsMakeTheWhole() {
    check(OneDnn.strided(new long[] {COLUMNS, INNER}, new long[] {1, COLUMNS}), memory.format_tag.AB16b64a, 3);
    check(OneDnn.strided(new long[] {COLUMNS, INNER}, new long[] {INNER, 1}), memory.format_tag.BA16a64b, 3);
    check(OneDnn.plain(40, 50), memory.format_tag.ba, 1);
  }

  private static void check(memory.desc given, memory.format_tag tag, int portions) {
    memory.desc wanted = new memory.desc(given.dims(), memory.data_type.f32, tag);
    try (FloatPointer from = new FloatPointer(given.get_size() / Float.BYTES);
        BytePointer expected = new BytePointer(wanted.get_size());
        BytePointer actual = new BytePointer(wanted.get_size());
        memory source = new memory(given, OneDnn.cpu(), from);
        memory whole = new memory(wanted, OneDnn.cpu(), expected);
        memory target = new memory(wanted, OneDnn.cpu(), actual);
        stream stream = new stream(OneDnn.cpu())) {
      for (long i = 0; i < from.capacity(); i += 7) {
        from.put(i, i);
      }
      new reorder(source, whole).execute(stream, source, whole);
      stream._wait();
      AtomicInteger copied = new AtomicInteger();
      Portions.copy(given, from, target, copied::incrementAndGet);
      assertEquals(portions, copied.get());
      assertEquals(0, Pointer.memcmp(expected, actual, wanted.get_size()));
    }
  }
}
