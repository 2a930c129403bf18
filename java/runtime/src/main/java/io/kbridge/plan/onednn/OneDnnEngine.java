package io.kbridge.plan.onednn;

import io.kbridge.Calibration;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import io.kbridge.plan.Engine;
import io.kbridge.plan.Threads;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * The oneDNN engine of one model: holds its packed weights. Where convolutions gain from oneDNN's code for Winograd's algorithm, which works on channels in
 * blocks, plans may be compiled in two ways until it is known which is faster: with arrays as Keras has them, and copies around such
 * convolutions, or with channels in blocks everywhere.
 */
public final class OneDnnEngine implements Engine {
  /**
   * The system property that decides for oneDNN's code for Winograd's algorithm, with channels in blocks everywhere ({@code always}) or last elsewhere
   * ({@code copies}), for ours in the largest tiles there are ({@code tiles}), in those of 2x2 ({@code tiles2}), or in the largest with channels in blocks
   * everywhere ({@code blocks}), or against the algorithm ({@code never}), not the clock ({@code measure}).
   */
  public static final String WINOGRAD = "io.kbridge.onednn.winograd";

  /**
   * The system property that decides which convolutions of single pixels our machine code computes: {@code always} all that it can, {@code never} none,
   * otherwise those with large kernels.
   */
  public static final String PANELS = "io.kbridge.onednn.panels";

  // NB: kernels that are not in the caches. Smaller ones take as long either way.
  private static final long LARGE_KERNEL = 1L << 19;

  private final String choice;
  private final Weights weights;
  private final boolean bfloat16;
  private final Quantisation quantisation;
  private final Set<String> avoided = ConcurrentHashMap.newKeySet();
  private final Ground ground = new Ground();
  // NB: for each number of threads. What is faster on one core need not be on two.
  private final Map<Integer, Boolean> preferred = new ConcurrentHashMap<>();
  private final Boolean decided;
  private final long leastPanels;
  private volatile boolean keepsBlocks = true;

  /**
   * Makes the engine for float32; loads oneDNN.
   *
   * @param packed told whenever weights have been copied into memory of the engine's own
   */
  public OneDnnEngine(Runnable packed) {
    this("float32", null, packed);
  }

  /**
   * Makes the engine; loads oneDNN.
   *
   * @param precision {@code float32}, or {@code bfloat16} or {@code int8} to compute products with such numbers
   * @param calibration how large values get that are rounded to 8 bits; null to round none
   * @param packed told whenever weights have been copied into memory of the engine's own
   * @throws KBridgeException DEVICE_UNAVAILABLE if the CPU does not compute with them
   */
  public OneDnnEngine(String precision, Calibration calibration, Runnable packed) {
    OneDnn.cpu();
    bfloat16 = precision.equals("bfloat16");
    if (bfloat16 && !OneDnn.hasBfloat16()) {
      throw new KBridgeException(
          ErrorCode.DEVICE_UNAVAILABLE,
          "Expected a CPU that computes with bfloat16 (AVX512-BF16 or AMX). Received: one without. Use precision 'float32'.");
    }
    if (precision.equals("int8") && !OneDnn.hasInt8()) {
      throw new KBridgeException(
          ErrorCode.DEVICE_UNAVAILABLE,
          "Expected a CPU that multiplies 8-bit numbers (AVX512-VNNI or AVX-VNNI). Received: one without. Use precision 'float32'.");
    }
    quantisation = new Quantisation(calibration);
    weights = new Weights(packed);
    // NB: Winograd's algorithm is there for float32 only.
    choice = bfloat16 || calibration != null ? "never" : System.getProperty(WINOGRAD, "measure");
    decided = choice.equals("measure") ? null : Boolean.valueOf(choice.equals("always") || choice.equals("blocks"));
    String panels = System.getProperty(PANELS, "large");
    leastPanels = panels.equals("always") ? 0 : panels.equals("never") ? Long.MAX_VALUE : LARGE_KERNEL;
  }

  @Override
  public Session start() {
    return start(Boolean.TRUE.equals(preferred()));
  }

  @Override
  public boolean keepsSamplesApart(ModelGraph graph) {
    return Samples.areApart(graph);
  }

  @Override
  public int samplesAtATime() {
    // NB: products take half of the time, so that waiting for memory is more of it: 16 samples of ResNet-50 take 133 ms by two, 140 by four.
    return bfloat16 ? 2 : Engine.super.samplesAtATime();
  }

  /** Starts a plan in one of the two ways. */
  OneDnnSession start(boolean inBlocks) {
    return new OneDnnSession(this, inBlocks, weights);
  }

  /** Tells whether products are computed with bfloat16 numbers. */
  boolean isBfloat16() {
    return bfloat16;
  }

  /** Tells what is rounded to 8 bits. */
  Quantisation quantisation() {
    return quantisation;
  }

  /** Returns the names of nodes that oneDNN cannot compute with the numbers of the precision. */
  Set<String> avoided() {
    return avoided;
  }

  /** Notes such a node; false if it is known. */
  boolean avoid(GraphNode node) {
    return avoided.add(node.name());
  }

  /** Tells whether it is still open which way is faster for plans on as many threads as the calling one may use. */
  boolean isUndecided() {
    return preferred() == null;
  }

  /** Tells whether plans with channels last may leave some values in blocks. */
  boolean keepsBlocks() {
    return keepsBlocks;
  }

  /** Notes that something cannot be computed from such values. */
  void keepNoBlocks() {
    keepsBlocks = false;
  }

  private Boolean preferred() {
    return decided == null ? preferred.get(Threads.allowed()) : decided;
  }

  /** Decides for one of the two ways, for plans on as many threads as the calling one may use. */
  void prefer(boolean inBlocks) {
    preferred.put(Threads.allowed(), inBlocks);
    weights.dropUnused();
  }

  /**
   * Returns what is known of a convolution's algorithms.
   *
   * @param key all that the time depends on
   * @param trial finds it out, by the clock or without; gives null if there is no choice
   * @return what is known, or null if there is no choice
   */
  Trial trial(String key, Function<Boolean, Trial> trial) {
    if (choice.equals("never")) {
      return null;
    }
    if (choice.startsWith("tiles") || choice.equals("blocks")) {
      return Trial.tiled();
    }
    return decided != null ? trial.apply(false) : Trial.known(key, () -> trial.apply(true));
  }

  /** Returns the forms of our code for Winograd's algorithm that may be used, those with the largest tiles first. */
  List<WinogradForm> forms() {
    Predicate<WinogradForm> excluded = form -> choice.equals("never") || choice.equals("tiles2") && form == WinogradForm.FOUR_BY_THREE;
    return Arrays.stream(WinogradForm.values()).filter(excluded.negate()).collect(Collectors.toList());
  }

  /** Returns how many bytes a kernel of single pixels has at least that our machine code multiplies with. */
  long leastPanels() {
    return leastPanels;
  }

  /** Returns memory to measure in; plans are compiled one at a time. */
  Ground ground() {
    return ground;
  }

  @Override
  public void close() {
    ground.close();
    weights.close();
  }
}
