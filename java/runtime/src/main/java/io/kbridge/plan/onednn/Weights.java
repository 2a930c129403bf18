package io.kbridge.plan.onednn;

import io.kbridge.plan.Arena;
import io.kbridge.plan.Finite;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.reorder;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Weights in the layouts that primitives asked for, each packed once for all plans of a model. Thread safe. */
final class Weights implements AutoCloseable {
  private final Map<String, List<memory>> packed = new HashMap<>();
  private final Map<String, Boolean> finite = new HashMap<>();
  private final List<Pointer> owned = new ArrayList<>();
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

  /**
   * Packs weights, unless that has been done.
   *
   * @param key names the content
   * @param wanted the layout
   * @param given describes what the content lies in now
   * @param content gives the content
   * @return memory of the wanted layout, which lives as long as the model
   */
  synchronized memory packed(String key, memory.desc wanted, memory.desc given, Supplier<Pointer> content) {
    List<memory> known = packed.computeIfAbsent(key, k -> new ArrayList<>());
    for (memory one : known) {
      try (memory.desc desc = one.get_desc()) {
        if (desc.equals(wanted)) {
          return one;
        }
      }
    }
    try (Pointer from = content.get();
        memory source = new memory(given, OneDnn.cpu(), from)) {
      Pointer place = arena.allocate(wanted.get_size()).pointer();
      owned.add(place);
      memory target = new memory(wanted, OneDnn.cpu(), place);
      try (reorder copy = new reorder(source, target);
          stream stream = new stream(OneDnn.cpu())) {
        copy.execute(stream, source, target);
        stream._wait();
      }
      owned.add(target);
      known.add(target);
      told.run();
      return target;
    }
  }

  /**
   * Tells whether a weight has finite numbers only; it is looked through once.
   *
   * @param name its name
   * @param content its numbers
   * @return true if none is NaN or infinite
   */
  synchronized boolean isFinite(String name, INDArray content) {
    return finite.computeIfAbsent(name, key -> Finite.all(content));
  }

  /**
   * Keeps numbers that are computed once.
   *
   * @param key names the content
   * @param desc the layout
   * @param content gives the numbers, as many as the layout has
   * @return memory that lives as long as the model
   */
  memory numbers(String key, memory.desc desc, Supplier<float[]> content) {
    return packed(key, desc, desc, () -> new FloatPointer(content.get()));
  }

  @Override
  public synchronized void close() {
    owned.forEach(Pointer::close);
    owned.clear();
    packed.clear();
    arena.close();
  }
}
