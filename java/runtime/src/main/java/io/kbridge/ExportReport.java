package io.kbridge;

import java.nio.file.Path;
import java.util.List;

/** What an export did. */
public final class ExportReport {
  private final Path bundle;
  private final String model;
  private final int operations;
  private final int weights;
  private final long weightBytes;
  private final List<String> notes;

  ExportReport(Path bundle, String model, int operations, int weights, long weightBytes, String[] notes) {
    this.bundle = bundle;
    this.model = model;
    this.operations = operations;
    this.weights = weights;
    this.weightBytes = weightBytes;
    this.notes = List.of(notes);
  }

  /**
   * Returns the file that was written.
   *
   * @return the bundle
   */
  public Path bundle() {
    return bundle;
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
   * Returns how many operations the inference graph has.
   *
   * @return the count
   */
  public int operations() {
    return operations;
  }

  /**
   * Returns how many weights there are.
   *
   * @return the count of arrays
   */
  public int weights() {
    return weights;
  }

  /**
   * Returns the size of the weights.
   *
   * @return all their bytes
   */
  public long weightBytes() {
    return weightBytes;
  }

  /**
   * Returns what was converted on the way, for people.
   *
   * @return the notes; none for most models
   */
  public List<String> notes() {
    return notes;
  }

  @Override
  public String toString() {
    return bundle + ": " + model + ", " + operations + " operations, " + weights + " weights (" + weightBytes + " bytes)";
  }
}
