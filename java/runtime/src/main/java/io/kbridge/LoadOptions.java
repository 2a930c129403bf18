package io.kbridge;

import io.kbridge.plan.Engine;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.onednn.OneDnnEngine;
import java.util.Objects;

/** How a model is loaded and run. Immutable; made with {@link #builder()}. */
public final class LoadOptions {
  static {
    // NB: here as well as in KBridge, because whichever is used first may be so before ND4J is.
    OpenMp.quieten();
  }

  private final String engine;
  private final String precision;
  private final Calibration calibration;
  private final String device;
  private final int threads;
  private final boolean verifyDigests;
  private final int planCacheSize;
  private final int concurrency;
  private final OpRegistry registry;

  private LoadOptions(Builder builder) {
    this.engine = builder.engine;
    this.precision = builder.precision;
    this.calibration = builder.calibration;
    this.device = builder.device;
    this.threads = builder.threads;
    this.verifyDigests = builder.verifyDigests;
    this.planCacheSize = builder.planCacheSize;
    this.concurrency = builder.concurrency;
    this.registry = builder.registry;
  }

  /**
   * Returns the options a model is loaded with unless others are given.
   *
   * @return the defaults
   */
  public static LoadOptions defaults() {
    return builder().build();
  }

  /**
   * Starts on other options.
   *
   * @return a builder that holds the defaults
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Returns which kind of steps plans are made of.
   *
   * @return {@code auto}, {@code nd4j} or {@code onednn}
   */
  public String engine() {
    return engine;
  }

  /**
   * Returns what numbers products are computed with.
   *
   * @return {@code float32}, {@code bfloat16} or {@code int8}
   */
  public String precision() {
    return precision;
  }

  /**
   * Returns how large values get that are rounded to 8 bits.
   *
   * @return the calibration, or null
   */
  public Calibration calibration() {
    return calibration;
  }

  /**
   * Returns what computes.
   *
   * @return {@code auto}, {@code cpu}, {@code gpu}, or a GPU by its number as in {@code gpu:1}
   */
  public String device() {
    return device;
  }

  /**
   * Returns which GPU computes, where one does.
   *
   * @return its number
   */
  public int gpu() {
    return Device.parse(device).index();
  }

  /**
   * Returns how many threads one call may use.
   *
   * @return the count; 0 for as many as the process has cores, or {@code OMP_NUM_THREADS} says
   */
  public int threads() {
    return threads;
  }

  /**
   * Tells whether weights and constants are compared with their digests.
   *
   * @return true if they are
   */
  public boolean verifyDigests() {
    return verifyDigests;
  }

  /**
   * Returns for how many sets of input shapes plans are kept.
   *
   * @return the count
   */
  public int planCacheSize() {
    return planCacheSize;
  }

  /**
   * Returns how many predictions may run at once; more wait their turn.
   *
   * @return the count
   */
  public int concurrency() {
    return concurrency;
  }

  /**
   * Makes the engine these options ask for.
   *
   * @param packed told whenever the engine has copied weights into memory of its own
   */
  Engine newEngine(Runnable packed) {
    boolean nd4j = engine.equals("nd4j") || !NativeArrays.inHostMemory();
    return nd4j ? Engine.NONE : new OneDnnEngine(precision, calibration, packed);
  }

  OpRegistry registry() {
    return registry == null ? OpRegistry.load() : registry;
  }

  /** Collects options. */
  public static final class Builder {
    private String engine = "auto";
    private String precision = "float32";
    private Calibration calibration;
    private String device = "auto";
    private int threads;
    private boolean verifyDigests = true;
    private int planCacheSize = 16;
    private int concurrency = Runtime.getRuntime().availableProcessors();
    private OpRegistry registry;

    private Builder() {}

    /**
     * Chooses which kind of steps plans are made of.
     *
     * @param value {@code auto} (the default, which is {@code onednn}), {@code nd4j} or {@code onednn}
     * @return this
     */
    public Builder engine(String value) {
      engine = Objects.requireNonNull(value, "engine");
      return this;
    }

    /**
     * Chooses what numbers products are computed with. Anything but {@code float32} trades accuracy for speed and needs the oneDNN engine.
     *
     * @param value {@code float32} (the default), {@code bfloat16} or {@code int8}
     * @return this
     */
    public Builder precision(String value) {
      precision = Objects.requireNonNull(value, "precision");
      return this;
    }

    /**
     * Tells how large values get, so that the precision {@code int8} can round them to 8 bits.
     *
     * @param value what {@link KBridgeModel#calibrate} has found on samples for the same bundle
     * @return this
     */
    public Builder calibration(Calibration value) {
      calibration = Objects.requireNonNull(value, "calibration");
      return this;
    }

    /**
     * Chooses what computes.
     *
     * @param value {@code auto} (the default: what the ND4J backend in the class path computes on), {@code cpu}, {@code gpu}, or a GPU by
     *     its number as in {@code gpu:1}
     * @return this
     */
    public Builder device(String value) {
      device = Objects.requireNonNull(value, "device");
      return this;
    }

    /**
     * Limits the threads of one call. A call that takes a moment uses one thread whatever is said here. Calls that use several wait for each other where
     * together they would have more threads than the machine has cores.
     *
     * <p>ND4J's own loops and its BLAS have one such setting for the whole process, so of several models the one loaded last decides there.
     *
     * @param value the count; 0 (the default) for as many as the process has cores, or {@code OMP_NUM_THREADS} says
     * @return this
     */
    public Builder threads(int value) {
      threads = atLeast(0, "threads", value);
      return this;
    }

    /**
     * Chooses whether weights and constants are compared with their digests.
     *
     * @param value true (the default) to compare; false only for files that were checked already
     * @return this
     */
    public Builder verifyDigests(boolean value) {
      verifyDigests = value;
      return this;
    }

    /**
     * Chooses for how many sets of input shapes plans are kept.
     *
     * @param value the count, 16 by default
     * @return this
     */
    public Builder planCacheSize(int value) {
      planCacheSize = atLeast(1, "planCacheSize", value);
      return this;
    }

    /**
     * Chooses how many predictions may run at once; each has memory of its own.
     *
     * @param value the count, by default the number of processors
     * @return this
     */
    public Builder concurrency(int value) {
      concurrency = atLeast(1, "concurrency", value);
      return this;
    }

    /**
     * Chooses the ops models are compiled with. What the oneDNN engine computes by itself it computes whatever is registered for it.
     *
     * @param value the ops; by default all families on the class path
     * @return this
     */
    public Builder registry(OpRegistry value) {
      registry = Objects.requireNonNull(value, "registry");
      return this;
    }

    /**
     * Makes the options.
     *
     * @return the options
     */
    public LoadOptions build() {
      return new LoadOptions(this);
    }

    private static int atLeast(int least, String name, int value) {
      if (value < least) {
        throw new KBridgeException(
            ErrorCode.INVALID_INPUT,
            "Expected option " + name + " to be at least " + least + ". Received: " + value + ". Give a larger number.");
      }
      return value;
    }
  }
}
