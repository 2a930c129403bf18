package io.kbridge.plan.onednn;

import io.kbridge.plan.Arena;
import io.kbridge.plan.Crew;
import io.kbridge.plan.Threads;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
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

  private final Piece written = new Piece();
  private final Piece blank = new Piece();

  /** Returns memory, at least so many bytes of it; it is another one than before if that was smaller. */
  BytePointer memory(long bytes) {
    return atLeast(bytes, Math.max(LEAST, bytes));
  }

  /** Returns memory as {@link #memory} does, no more than needed if nothing more is needed for a while. */
  BytePointer only(long bytes) {
    if (written.bytes() > Math.max(LEAST, bytes)) {
      written.close();
    }
    return atLeast(bytes, bytes);
  }

  private BytePointer atLeast(long bytes, long taken) {
    if (written.bytes() < bytes) {
      written.take(taken);
      clear(written.pointer(), written.bytes());
    }
    return written.pointer();
  }

  /** Returns memory to be read only, at least so many bytes of it: it never was written, so that it takes up no memory and hardly any time. */
  Pointer blank(long bytes) {
    if (blank.bytes() < bytes) {
      blank.take(bytes);
    }
    return blank.pointer();
  }

  /** Sets memory to zero, all threads together. */
  static void clear(BytePointer start, long bytes) {
    share(start, bytes, part -> Pointer.memset(part, 0, part.capacity()));
  }

  /** Reads memory, all threads together, so that the caches have nothing else, and nothing that would have to be written back. */
  static void read(BytePointer start, long bytes) {
    share(start, bytes, part -> Pointer.memchr(part, 1, part.capacity()));
  }

  private static void share(BytePointer start, long bytes, Consumer<Pointer> work) {
    int threads = Threads.allowed();
    List<Runnable> parts = new ArrayList<>();
    for (int i = 0; i < threads; i++) {
      long from = bytes * i / threads;
      BytePointer part = start.getPointer(BytePointer.class, from);
      part.capacity(bytes * (i + 1) / threads - from);
      parts.add(() -> work.accept(part));
    }
    Crew.share(parts);
  }

  /** Gives the memory back. */
  @Override
  public void close() {
    written.close();
    blank.close();
  }

  /** Memory of the system. */
  private static final class Piece {
    private Arena arena;
    private Arena.Block block;

    void take(long bytes) {
      close();
      arena = Arena.growing();
      block = arena.allocate(bytes);
    }

    long bytes() {
      return block == null ? 0 : block.bytes();
    }

    BytePointer pointer() {
      return block.pointer();
    }

    void close() {
      if (arena != null) {
        arena.close();
        arena = null;
        block = null;
      }
    }
  }
}
