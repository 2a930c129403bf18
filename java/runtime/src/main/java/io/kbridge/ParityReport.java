package io.kbridge;

import java.util.Optional;

/** Whether native Keras and the JVM give the same numbers. */
public final class ParityReport {
  private final boolean ok;
  private final String model;
  private final int layers;
  private final double maxAbsoluteError;
  private final String firstDivergence;
  private final String json;

  ParityReport(boolean ok, String model, int layers, double maxAbsoluteError, String firstDivergence, String json) {
    this.ok = ok;
    this.model = model;
    this.layers = layers;
    this.maxAbsoluteError = maxAbsoluteError;
    this.firstDivergence = firstDivergence;
    this.json = json;
  }

  /**
   * Tells whether all outputs and layers agree.
   *
   * @return true if they do
   */
  public boolean ok() {
    return ok;
  }

  /**
   * Returns the model's name.
   *
   * @return the name Keras gave it
   */
  public String model() {
    return model;
  }

  /**
   * Returns how many calls of layers were compared.
   *
   * @return the count
   */
  public int layers() {
    return layers;
  }

  /**
   * Returns the largest absolute error of the outputs.
   *
   * @return the error; NaN or infinite where outputs are
   */
  public double maxAbsoluteError() {
    return maxAbsoluteError;
  }

  /**
   * Returns the first layer, in the order they run, that does not agree.
   *
   * @return its name, or nothing if all do
   */
  public Optional<String> firstDivergence() {
    return Optional.ofNullable(firstDivergence);
  }

  /**
   * Returns all of the report, as {@code kbridge check --json} writes it.
   *
   * @return a JSON object
   */
  public String json() {
    return json;
  }

  /**
   * Makes an error of differences.
   *
   * @return this, if all agrees
   * @throws KBridgeException SELF_TEST_FAILED otherwise
   */
  public ParityReport orThrow() {
    if (!ok) {
      throw new KBridgeException(
          ErrorCode.SELF_TEST_FAILED,
          "Expected native Keras and the JVM to agree on '" + model + "'. Received: differences, the first in "
              + firstDivergence().orElse("the outputs") + ". json() has all of them.");
    }
    return this;
  }

  @Override
  public String toString() {
    return model + ": " + (ok ? "the same in " : "DIFFERENT in ") + layers + " layers, largest error " + maxAbsoluteError;
  }
}
