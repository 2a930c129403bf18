package io.kbridge.plan;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.javacpp.BytePointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The memory of one plan: native memory taken from the system in slabs, handed out in blocks, and handed out again once a block is
 * released. Blocks are given at compile time and stay where they are, so steps may keep pointers to them. Not thread safe.
 *
 * <p>The body of a loop has an arena inside of the plan's: what it releases is used again by itself alone, because it runs again.
 */
public final class Arena implements AutoCloseable {
  // NB: a cache line, and the widest vector register.
  private static final long ALIGNMENT = 64;
  private static final long SMALLEST_SLAB = 1L << 20;
  private static final long LARGEST_STEP = 1L << 25;

  private final List<Slab> slabs = new ArrayList<>();
  private final List<INDArray> owned = new ArrayList<>();
  private final Map<Integer, Block> threads = new HashMap<>();
  private final Arena outer;
  private final Growth growth;

  /** How much an arena takes at once. */
  private enum Growth {
    EXACT,
    SLABS,
    MORE_AND_MORE
  }

  /** Makes an arena that takes its memory from the system, as much as it needs. */
  Arena() {
    this(null, Growth.SLABS);
  }

  /**
   * Makes an arena for many blocks that stay: it takes more from the system at once the more it has.
   *
   * @return the arena
   */
  public static Arena growing() {
    return new Arena(null, Growth.MORE_AND_MORE);
  }

  /**
   * Makes an arena inside of another.
   *
   * @param outer where it takes its memory from
   */
  Arena(Arena outer) {
    this(outer, Growth.EXACT);
  }

  private Arena(Arena outer, Growth growth) {
    this.outer = outer;
    this.growth = growth;
  }

  /**
   * Makes an arena in the memory of another one, for what never is in use while that is: where it needs no more, both take no more than the larger.
   * The memory goes back to the system when both are closed.
   *
   * @param other the other arena, for which nothing more is allocated
   * @return the arena
   */
  static Arena instead(Arena other) {
    Arena arena = new Arena();
    other.slabs.forEach(slab -> arena.slabs.add(new Slab(slab)));
    return arena;
  }

  /**
   * Makes an arena for one of several threads inside of another one. What two threads write is not close to each other.
   *
   * @param outer where it takes its memory from
   * @return the arena
   */
  static Arena part(Arena outer) {
    return new Arena(outer, Growth.SLABS);
  }

  /**
   * Gives a block that nothing else uses; it has one reference.
   *
   * @param bytes its size
   * @return the block
   */
  public Block allocate(long bytes) {
    long size = Math.max(ALIGNMENT, roundUp(bytes));
    Slab best = null;
    Map.Entry<Long, Long> gap = null;
    for (Slab slab : slabs) {
      for (Map.Entry<Long, Long> free : slab.free.entrySet()) {
        if (free.getValue() >= size && (gap == null || free.getValue() < gap.getValue())) {
          best = slab;
          gap = free;
        }
      }
    }
    if (best == null) {
      long wanted = growth == Growth.EXACT ? size : slabSize(size);
      best = outer == null ? Slab.ofSystem(wanted) : new Slab(outer.allocate(wanted));
      slabs.add(best);
      gap = best.free.firstEntry();
    }
    long offset = gap.getKey();
    long left = gap.getValue() - size;
    best.free.remove(offset);
    if (left > 0) {
      best.free.put(offset + size, left);
    }
    best.used = Math.max(best.used, offset + size);
    return new Block(best, offset, size);
  }

  /**
   * Gives the block of one of several threads, which stays. All that ask for one of the same thread get the same, so that it is in that thread's caches;
   * a thread that writes what another one wrote last has to wait for it.
   *
   * @param thread which thread
   * @param bytes the least size
   * @return the block; nobody is to release it
   */
  Block ofThread(int thread, long bytes) {
    Block known = threads.get(thread);
    if (known == null || known.size < bytes) {
      // NB: a power of two, so that smaller ones that were given before take no more together.
      known = allocate(Long.highestOneBit(Math.max(bytes, ALIGNMENT) * 2 - 1));
      threads.put(thread, known);
    }
    return known;
  }

  /**
   * Makes the array that lies in a block. On a GPU it has memory of its own, given back with the whole arena, and the block only says who
   * else uses it.
   */
  INDArray array(Block block, DataType type, long... shape) {
    if (NativeArrays.inHostMemory()) {
      return NativeArrays.over(block.pointer(), type, shape);
    }
    INDArray array = Nd4j.createUninitializedDetached(type, 'c', shape);
    outermost().owned.add(array);
    return array;
  }

  private Arena outermost() {
    return outer == null ? this : outer.outermost();
  }

  /** Returns how much memory has been taken from the system. */
  long bytes() {
    return slabs.stream().mapToLong(slab -> slab.size).sum();
  }

  /** Gives back what no block has lain in. */
  void trim() {
    slabs.forEach(Slab::trim);
    slabs.removeIf(slab -> slab.used == 0);
  }

  /** Gives all memory back to where it came from; no array over it may be used again. */
  @Override
  public void close() {
    slabs.forEach(Slab::close);
    slabs.clear();
    owned.forEach(INDArray::close);
    owned.clear();
  }

  /** Slabs of more than the smallest size are made of whole large pages. */
  private long slabSize(long bytes) {
    long least = Math.max(bytes, growth == Growth.MORE_AND_MORE ? Math.min(LARGEST_STEP, bytes()) : 0);
    return least <= SMALLEST_SLAB ? SMALLEST_SLAB : (least + MemoryAdvice.LARGE_PAGE - 1) / MemoryAdvice.LARGE_PAGE * MemoryAdvice.LARGE_PAGE;
  }

  private static long roundUp(long bytes) {
    return Math.addExact(bytes, ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** A piece of the arena with a count of who still needs it. */
  public static final class Block {
    private final Slab slab;
    private final long offset;
    private final long size;
    private int references = 1;

    Block(Slab slab, long offset, long size) {
      this.slab = slab;
      this.offset = offset;
      this.size = size;
    }

    /**
     * Returns where the block lies.
     *
     * @return the address of its first byte; the arena owns the memory
     */
    public BytePointer pointer() {
      return slab.at(offset);
    }

    /**
     * Returns how large the block is.
     *
     * @return bytes
     */
    public long bytes() {
      return size;
    }

    void retain() {
      references++;
    }

    /** Tells whether it has more than one reference. */
    boolean isShared() {
      return references > 1;
    }

    void release() {
      if (--references == 0) {
        slab.giveBack(offset, size);
      }
    }

    /** Gives the block back, and its memory to the system until it is used again. */
    public void discard() {
      // NB: the pointer is not closed: that would free all memory that it points into.
      MemoryAdvice.discard(pointer().address(), size);
      release();
    }
  }

  /** Memory of the system, and how many slabs it is in. */
  private static final class Memory {
    private final BytePointer pointer;
    private int slabs = 1;

    Memory(long bytes) {
      try {
        pointer = new BytePointer(bytes);
      } catch (OutOfMemoryError e) {
        throw new KBridgeException(
            ErrorCode.OUT_OF_MEMORY,
            "Expected " + bytes + " bytes of native memory for the arrays of a plan. Received: " + e.getMessage()
                + ". Use smaller batches, or raise -Xmx and -Dorg.bytedeco.javacpp.maxbytes.",
            e);
      }
    }

    void leave() {
      if (--slabs == 0) {
        pointer.deallocate();
      }
    }
  }

  private static final class Slab {
    // NB: null on a GPU.
    private final BytePointer start;
    private final Memory memory;
    private final long size;
    private final Block owner;
    private final TreeMap<Long, Long> free = new TreeMap<>();
    private long used;

    private Slab(BytePointer start, long size, Memory memory, Block owner) {
      this.start = start;
      this.size = size;
      this.memory = memory;
      this.owner = owner;
      free.put(0L, size);
    }

    /** Takes memory from another arena. */
    Slab(Block block) {
      this(block.slab.start == null ? null : block.pointer(), block.size, null, block);
    }

    /** Takes the memory of another slab as well. */
    Slab(Slab other) {
      this(other.start, other.size, other.memory, other.owner);
      if (owner != null) {
        owner.retain();
      } else if (memory != null) {
        memory.slabs++;
      }
    }

    /** Takes memory from the system. */
    static Slab ofSystem(long size) {
      if (!NativeArrays.inHostMemory()) {
        return new Slab(null, size, null, null);
      }
      long alignment = size < MemoryAdvice.LARGE_PAGE ? ALIGNMENT : MemoryAdvice.LARGE_PAGE;
      Memory memory = new Memory(size + alignment);
      BytePointer start = memory.pointer.getPointer(BytePointer.class, (alignment - memory.pointer.address() % alignment) % alignment);
      MemoryAdvice.preferLargePages(start.address(), size);
      return new Slab(start, size, memory, null);
    }

    void trim() {
      if (used == 0) {
        close();
      } else if (memory != null) {
        MemoryAdvice.discard(start.address() + used, size - used);
      }
    }

    void close() {
      if (owner != null) {
        owner.release();
      } else if (memory != null) {
        memory.leave();
      }
    }

    BytePointer at(long offset) {
      return start.getPointer(BytePointer.class, offset);
    }

    /** Takes a range back and joins it with free neighbours. */
    void giveBack(long offset, long bytes) {
      long from = offset;
      long count = bytes;
      Map.Entry<Long, Long> before = free.lowerEntry(offset);
      if (before != null && before.getKey() + before.getValue() == offset) {
        from = before.getKey();
        count += before.getValue();
      }
      Long after = free.remove(offset + bytes);
      free.put(from, count + (after == null ? 0 : after));
    }
  }
}
