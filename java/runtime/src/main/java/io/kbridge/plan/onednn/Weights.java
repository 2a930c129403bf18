package io.kbridge.plan.onednn;

import io.kbridge.plan.Arena;
import io.kbridge.plan.Finite;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.reorder;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Weights in the layouts that primitives asked for, each packed once for all plans of a model. Thread safe. */
final class Weights implements AutoCloseable {
  private final Map<String, List<Packed>> packed = new HashMap<>();
  private final Map<String, Boolean> finite = new HashMap<>();
  private final Arena arena = Arena.growing();
  private final Runnable told;

  /**
   * Starts without any.
   *
   * @param told told whenever weights have been packed
   */
  Weights(Runnable told) {
    this.told = told;
  }

  /** Gives back what no plan uses that is there now. */
  synchronized void dropUnused() {
    for (List<Packed> layouts : packed.values()) {
      for (Iterator<Packed> each = layouts.iterator(); each.hasNext(); ) {
        Packed one = each.next();
        if (one.users == 0) {
          one.close();
          one.block.discard();
          each.remove();
        }
      }
    }
  }

  @Override
  public synchronized void close() {
    packed.values().forEach(layouts -> layouts.forEach(Packed::close));
    packed.clear();
    arena.close();
  }

  private synchronized memory take(Set<Packed> mine, String key, memory.desc wanted, memory.desc given, Supplier<Pointer> content) {
    Packed found = find(key, wanted);
    if (found == null) {
      found = pack(wanted, given, content);
      packed.computeIfAbsent(key, k -> new ArrayList<>()).add(found);
      told.run();
    }
    if (mine.add(found)) {
      found.users++;
    }
    return found.memory;
  }

  private Packed find(String key, memory.desc wanted) {
    for (Packed one : packed.getOrDefault(key, List.of())) {
      try (memory.desc desc = one.memory.get_desc()) {
        if (desc.equals(wanted)) {
          return one;
        }
      }
    }
    return null;
  }

  private Packed pack(memory.desc wanted, memory.desc given, Supplier<Pointer> content) {
    Packed made = new Packed(arena.allocate(wanted.get_size()), wanted);
    try (Pointer from = content.get();
        memory source = new memory(given, OneDnn.cpu(), from);
        reorder copy = new reorder(source, made.memory);
        stream stream = new stream(OneDnn.cpu())) {
      copy.execute(stream, source, made.memory);
      stream._wait();
    }
    return made;
  }

  private synchronized boolean isFinite(String name, INDArray content) {
    return finite.computeIfAbsent(name, key -> Finite.all(content));
  }

  private synchronized void leave(Set<Packed> all) {
    all.forEach(one -> one.users--);
  }

  /** Weights in one layout, and how many plans use them. */
  private static final class Packed {
    private final Arena.Block block;
    private final memory memory;
    private int users;

    Packed(Arena.Block block, memory.desc layout) {
      this.block = block;
      this.memory = new memory(layout, OneDnn.cpu(), block.pointer());
    }

    void close() {
      // NB: not the pointer to the block: closing one frees all memory that it points into, other weights with it.
      memory.close();
    }
  }

  /** What one plan uses of the weights. */
  static final class Use implements AutoCloseable {
    private final Weights weights;
    private final Set<Packed> mine = new HashSet<>();

    Use(Weights weights) {
      this.weights = weights;
    }

    /**
     * Packs weights, unless that has been done.
     *
     * @param key names the content
     * @param wanted the layout
     * @param given describes what the content lies in now
     * @param content gives the content
     * @return memory of the wanted layout, which lives at least as long as the plan
     */
    memory packed(String key, memory.desc wanted, memory.desc given, Supplier<Pointer> content) {
      return weights.take(mine, key, wanted, given, content);
    }

    /**
     * Keeps numbers that are computed once.
     *
     * @param key names the content
     * @param desc the layout
     * @param content gives the numbers, as many as the layout has
     * @return memory that lives at least as long as the plan
     */
    memory numbers(String key, memory.desc desc, Supplier<float[]> content) {
      return packed(key, desc, desc, () -> new FloatPointer(content.get()));
    }

    /**
     * Tells whether a weight has finite numbers only; it is looked through once.
     *
     * @param name its name
     * @param content its numbers
     * @return true if none is NaN or infinite
     */
    boolean isFinite(String name, INDArray content) {
      return weights.isFinite(name, content);
    }

    @Override
    public void close() {
      weights.leave(mine);
      mine.clear();
    }
  }
}
