package io.kbridge.plan.onednn;

import io.kbridge.plan.Arena;
import io.kbridge.plan.Crew;
import io.kbridge.plan.Finite;
import io.kbridge.plan.Threads;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.bytedeco.dnnl.memory;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Weights in the layouts that primitives asked for, each packed once for all plans of a model: when it is known that the plan will be used, several at
 * a time. Thread safe.
 */
final class Weights implements AutoCloseable {
  // NB: a cache line.
  private static final long ALIGNMENT = 64;
  // NB: numbers that take as much memory as is worth a system call.
  private static final long LARGE = 1L << 20;
  // NB: weights in memory that is lent are in the caches no more when it begins again from the start.
  private static final long LENT = 2 * Ground.CACHE;

  private final Map<String, List<Packed>> packed = new HashMap<>();
  private final Map<String, Boolean> finite = new HashMap<>();
  private final Map<String, float[]> steps = new HashMap<>();
  private final Arena arena = Arena.growing();
  private final Runnable told;

  /**
   * Starts without any.
   *
   * @param told told whenever the content of weights is not needed for a while, because they have been packed or looked through
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
          one.discard();
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

  private synchronized memory take(Set<Packed> mine, String key, memory.desc wanted, Supplier<Consumer<memory>> fill) {
    Packed found = find(key, wanted);
    if (found == null) {
      found = new Packed(wanted, fill.get());
      packed.computeIfAbsent(key, k -> new ArrayList<>()).add(found);
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

  private static List<Packed> missing(Set<Packed> mine) {
    List<Packed> missing = mine.stream().filter(Packed::isMissing).collect(Collectors.toList());
    missing.sort(Comparator.comparingLong(Packed::bytes).reversed());
    return missing;
  }

  private synchronized void packMissing(Set<Packed> mine) {
    List<Packed> missing = missing(mine);
    missing.forEach(one -> one.settle(arena.allocate(one.bytes())));
    long share = missing.stream().mapToLong(Packed::bytes).sum() / Threads.allowed();
    // NB: oneDNN shares out the work on one array among all threads, but less well than arrays are shared out.
    missing.stream().filter(one -> one.bytes() > share).forEach(this::pack);
    Queue<Packed> queue = missing.stream().filter(Packed::isMissing).collect(Collectors.toCollection(ConcurrentLinkedQueue::new));
    Runnable part =
        () -> {
          for (Packed one = queue.poll(); one != null; one = queue.poll()) {
            pack(one);
          }
        };
    if (!queue.isEmpty()) {
      Crew.share(Collections.nCopies(Math.min(Threads.allowed(), queue.size()), part));
    }
  }

  private void pack(Packed one) {
    one.pack();
  }

  /** Copies content into other memory. */
  private Consumer<memory> copy(memory.desc given, Supplier<Pointer> content) {
    // NB: a copy, since the plan that asks first may be closed before another one packs. (A desc made of a desc is the same one.)
    memory.desc lies = new memory.desc(given.data());
    return into -> {
      try (memory.desc closed = lies;
          Pointer from = content.get()) {
        Portions.copy(closed, from, into, told);
      }
    };
  }

  /**
   * Lets weights that are not packed lie in other memory for a while, one after the other and from the start again, never in the caches. Between plans
   * that are alike, what is larger than that memory and is read by both lies where it takes none, and no time.
   */
  private synchronized void lend(Set<Packed> mine, Ground ground, boolean alike) {
    List<Packed> missing = missing(mine);
    if (missing.isEmpty()) {
      return;
    }
    Predicate<Packed> blank = one -> alike && one.users > 1 && one.bytes() > LENT;
    // NB: as much as the plans beside this one ask for, so that the memory stays where it is.
    List<Packed> all = packed.values().stream().flatMap(List::stream).filter(one -> one.isMissing() && one.users > 0).collect(Collectors.toList());
    long sum = all.stream().filter(blank.negate()).mapToLong(one -> aligned(one.bytes())).sum();
    long size = Math.max(Math.min(LENT, Math.max(ALIGNMENT, sum)), most(all, blank.negate()));
    BytePointer memory = ground.only(size);
    long at = 0;
    for (Packed one : missing) {
      if (blank.test(one)) {
        one.lie(ground.blank(most(all, blank)));
      } else {
        at = at + one.bytes() > size ? 0 : at;
        one.lie(memory.getPointer(BytePointer.class, at));
        at += aligned(one.bytes());
      }
    }
  }

  private static long aligned(long bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  private static long most(List<Packed> some, Predicate<Packed> which) {
    return some.stream().filter(which).mapToLong(Packed::bytes).max().orElse(0);
  }

  private synchronized boolean isFinite(String name, INDArray content) {
    return finite.computeIfAbsent(
        name,
        key -> {
          boolean all = Finite.all(content);
          if (content.length() >= LARGE) {
            told.run();
          }
          return all;
        });
  }

  private synchronized float[] steps(String key, Supplier<float[]> find) {
    return steps.computeIfAbsent(key, k -> find.get());
  }

  private synchronized void leave(Set<Packed> all) {
    all.forEach(one -> one.users--);
  }

  /** Weights in one layout, and how many plans use them. */
  private static final class Packed {
    private final memory memory;
    private final long bytes;
    private Consumer<memory> fill;
    private Arena.Block block;
    private int users;

    Packed(memory.desc layout, Consumer<memory> fill) {
      this.memory = new memory(layout, OneDnn.cpu(), (Pointer) null);
      this.bytes = layout.get_size();
      this.fill = fill;
    }

    boolean isMissing() {
      return fill != null;
    }

    long bytes() {
      return bytes;
    }

    void lie(Pointer start) {
      memory.set_data_handle(start);
    }

    void settle(Arena.Block own) {
      block = own;
      lie(own.pointer());
    }

    void pack() {
      fill.accept(memory);
      fill = null;
    }

    void discard() {
      if (block != null) {
        block.discard();
      }
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
     * Lets what has not been packed be anything in some memory: runs of the plan then take as long as ever, but for what two plans that are alike have
     * in common.
     *
     * @param ground the memory
     * @param alike whether the other plan that is compared is alike
     */
    void borrowMissing(Ground ground, boolean alike) {
      weights.lend(mine, ground, alike);
    }

    /** Packs what has not been packed. */
    void packMissing() {
      weights.packMissing(mine);
    }

    /**
     * Gives memory for weights, which are packed by {@link #packMissing}, unless that has been done.
     *
     * @param key names the content
     * @param wanted the layout
     * @param given describes what the content lies in now
     * @param content gives the content
     * @return memory of the wanted layout, which lives at least as long as the plan
     */
    memory packed(String key, memory.desc wanted, memory.desc given, Supplier<Pointer> content) {
      return weights.take(mine, key, wanted, () -> weights.copy(given, content));
    }

    /**
     * Gives memory for weights that something else than a copy fills, when {@link #packMissing} is called.
     *
     * @param key names the content, and all of the layout that {@code wanted} does not
     * @param wanted the layout
     * @param fill fills the memory; used after the plan is closed, perhaps
     * @return memory as that of {@link #packed}
     */
    memory filled(String key, memory.desc wanted, Consumer<memory> fill) {
      return weights.take(mine, key, wanted, () -> fill.andThen(into -> weights.told.run()));
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

    /**
     * Returns the steps of a kernel in 8 bits; they are found once.
     *
     * @param key names the content
     * @param find finds them
     * @return the steps; not to be changed
     */
    float[] steps(String key, Supplier<float[]> find) {
      return weights.steps(key, find);
    }

    @Override
    public void close() {
      weights.leave(mine);
      mine.clear();
    }
  }
}
