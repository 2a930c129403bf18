package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.dnnl_blocked;

import java.util.Arrays;
import org.bytedeco.dnnl.dnnl_blocking_desc_t;
import org.bytedeco.dnnl.dnnl_memory_desc_t;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.reorder;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.Pointer;

/** Copies an array into another layout, a portion at a time if it is large: little of a file that it is mapped from then is in memory at once. */
final class Portions {
  /** How many bytes are copied at a time. */
  static final long LARGEST = 32L << 20;

  // NB: no layout has larger blocks.
  private static final long BLOCK = 64;

  private final memory.desc given;
  private final memory.desc wanted;
  private final long[] dims;
  private final int cut;
  private final long step;

  private Portions(memory.desc given, memory.desc wanted) {
    this.given = given;
    this.wanted = wanted;
    dnnl_memory_desc_t data = given.data();
    dims = new long[data.ndims()];
    Arrays.setAll(dims, i -> data.dims().get(i));
    cut = slowest(data);
    long steps = Math.max(1, LARGEST / BLOCK * dims[cut] / given.get_size());
    step = isCuttable() ? Math.min(dims[cut], steps * BLOCK) : dims[cut];
  }

  /**
   * Copies an array.
   *
   * @param given describes it, with strides
   * @param from where it lies
   * @param to where it is copied to, in another layout
   * @param copied told after each portion
   */
  static void copy(memory.desc given, Pointer from, memory to, Runnable copied) {
    try (memory.desc wanted = to.get_desc();
        stream stream = new stream(OneDnn.cpu())) {
      Portions portions = new Portions(given, wanted);
      for (long at = 0; at < portions.dims[portions.cut]; at += portions.step) {
        portions.copy(at, from, to.get_data_handle(), stream);
        copied.run();
      }
    }
  }

  private void copy(long at, Pointer from, Pointer to, stream stream) {
    try (memory.desc source = part(given, at);
        memory.desc target = part(wanted, at);
        memory read = new memory(source, OneDnn.cpu(), from);
        memory written = new memory(target, OneDnn.cpu(), to);
        reorder copy = new reorder(read, written)) {
      copy.execute(stream, read, written);
      stream._wait();
    }
  }

  /** Describes a portion. (oneDNN's own sub-memories have no padding behind what is no whole block.) */
  private memory.desc part(memory.desc whole, long at) {
    dnnl_memory_desc_t all = whole.data();
    if (step == dims[cut]) {
      // NB: a desc made of a desc is the same one, and closed with it.
      return new memory.desc(all);
    }
    long count = Math.min(step, dims[cut] - at);
    long padding = at + count == dims[cut] ? all.padded_dims().get(cut) - dims[cut] : 0;
    try (dnnl_memory_desc_t some = new dnnl_memory_desc_t()) {
      Pointer.memcpy(some, all, all.sizeof());
      some.dims().put(cut, count);
      some.padded_dims().put(cut, count + padding);
      some.offset0(all.offset0() + at / block(all) * all.format_desc_blocking().strides().get(cut));
      return new memory.desc(some);
    }
  }

  /** Tells whether memory of the wanted layout consists of parts; sums that are kept behind the numbers are of the whole. */
  private boolean isCuttable() {
    dnnl_memory_desc_t data = wanted.data();
    return data.format_kind() == dnnl_blocked && data.extra().flags() == 0 && BLOCK % block(data) == 0;
  }

  /** Returns how many places of the dimension that is cut a block has. */
  private long block(dnnl_memory_desc_t data) {
    dnnl_blocking_desc_t blocking = data.format_desc_blocking();
    long size = 1;
    for (int i = 0; i < blocking.inner_nblks(); i++) {
      size *= blocking.inner_idxs().get(i) == cut ? blocking.inner_blks().get(i) : 1;
    }
    return size;
  }

  /** Returns the dimension along which memory is contiguous. */
  private static int slowest(dnnl_memory_desc_t data) {
    int slowest = 0;
    for (int i = 1; i < data.ndims(); i++) {
      slowest = data.format_desc_blocking().strides().get(i) > data.format_desc_blocking().strides().get(slowest) ? i : slowest;
    }
    return slowest;
  }
}
