package io.kbridge.plan.onednn;

import io.kbridge.plan.Arena;
import io.kbridge.plan.Crew;
import io.kbridge.plan.Threads;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Memory in which things are run that only tell how long they take. It is like that of weights and plans, and written, because all pages of memory
 * that never was are one and the same. Getting memory from the system takes longer than most of what is measured, so one piece serves for all.
 */
final class Ground implements AutoCloseable {
  /** More than the caches of a processor have room for. */
  static final long CACHE = 32L << 20;

  private static final long LEAST = 72L << 20;

  private Arena arena;
  private Arena.Block block;

  /** Returns memory, at least so many bytes of it; it is another one than before if that was smaller. */
  BytePointer memory(long bytes) {
    if (block == null || block.bytes() < bytes) {
      close();
      arena = Arena.growing();
      block = arena.allocate(Math.max(LEAST, bytes));
      clear(block.pointer(), block.bytes());
    }
    return block.pointer();
  }

  /** Sets memory to zero, all threads together. */
  static void clear(BytePointer start, long bytes) {
    int threads = Threads.allowed();
    List<Runnable> parts = new ArrayList<>();
    for (int i = 0; i < threads; i++) {
      long from = bytes * i / threads;
      long to = bytes * (i + 1) / threads;
      Pointer part = start.getPointer(BytePointer.class, from);
      parts.add(() -> Pointer.memset(part, 0, to - from));
    }
    Crew.share(parts);
  }

  /** Gives the memory back. */
  @Override
  public void close() {
    if (arena != null) {
      arena.close();
      arena = null;
      block = null;
    }
  }
}
