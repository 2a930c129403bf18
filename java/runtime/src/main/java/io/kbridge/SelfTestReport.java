package io.kbridge;

import io.kbridge.bundle.Golden;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** How far a model's answers to its golden samples are from those of native Keras, output by output. Immutable. */
public final class SelfTestReport {
  private final List<Output> outputs;
  private final double rtol;
  private final double atol;
  private final boolean scaled;

  SelfTestReport(List<Output> outputs, Golden golden) {
    this.outputs = Collections.unmodifiableList(new ArrayList<>(outputs));
    this.rtol = golden.rtol();
    this.atol = golden.atol();
    this.scaled = golden.scaled();
  }

  /**
   * Returns the comparison of each output.
   *
   * @return the outputs, in the model's order
   */
  public List<Output> outputs() {
    return outputs;
  }

  /**
   * Tells whether all outputs agree.
   *
   * @return true if they do
   */
  public boolean ok() {
    return outputs.stream().allMatch(Output::ok);
  }

  /**
   * Returns the relative tolerance the bundle asks for.
   *
   * @return the tolerance
   */
  public double rtol() {
    return rtol;
  }

  /**
   * Returns the absolute tolerance the bundle asks for.
   *
   * @return the tolerance; a share of each output's largest magnitude if it is {@link #scaled}
   */
  public double atol() {
    return atol;
  }

  /**
   * Tells whether the absolute tolerance is a share of each output's largest magnitude.
   *
   * @return true if it is
   */
  public boolean scaled() {
    return scaled;
  }

  /**
   * Throws unless all outputs agree.
   *
   * @return this
   * @throws KBridgeException SELF_TEST_FAILED, with every output that does not agree
   */
  public SelfTestReport orThrow() {
    if (ok()) {
      return this;
    }
    throw new KBridgeException(
        ErrorCode.SELF_TEST_FAILED,
        "Expected the outputs native Keras gave for the golden samples. Received: " + this
            + ". The runtime computes this model wrong on this machine: do not use it, and please report it.");
  }

  /**
   * Writes the report in one line per output.
   *
   * @return the text
   */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder(String.format(Locale.ROOT, "rtol=%g atol=%g%s", rtol, atol, scaled ? " of the largest" : ""));
    outputs.forEach(output -> text.append(System.lineSeparator()).append(output));
    return text.toString();
  }

  /** The comparison of one output. An element agrees if |actual - expected| &lt;= atol + rtol * |expected|. Immutable. */
  public static final class Output {
    private final String name;
    private final long elements;
    private final long wrong;
    private final double maxAbsoluteError;
    private final double maxRelativeError;

    Output(String name, long elements, long wrong, double maxAbsoluteError, double maxRelativeError) {
      this.name = name;
      this.elements = elements;
      this.wrong = wrong;
      this.maxAbsoluteError = maxAbsoluteError;
      this.maxRelativeError = maxRelativeError;
    }

    /**
     * Returns the output.
     *
     * @return its name
     */
    public String name() {
      return name;
    }

    /**
     * Tells whether every element agrees.
     *
     * @return true if it does
     */
    public boolean ok() {
      return wrong == 0;
    }

    /**
     * Returns how many elements were compared.
     *
     * @return the count
     */
    public long elements() {
      return elements;
    }

    /**
     * Returns how many elements do not agree, those included where one side alone is NaN or infinite.
     *
     * @return the count
     */
    public long wrong() {
      return wrong;
    }

    /**
     * Returns the largest |actual - expected|.
     *
     * @return the error; infinite if one side alone is NaN or infinite somewhere
     */
    public double maxAbsoluteError() {
      return maxAbsoluteError;
    }

    /**
     * Returns the largest |actual - expected| / |expected|.
     *
     * @return the error; infinite where zero was expected and something else came
     */
    public double maxRelativeError() {
      return maxRelativeError;
    }

    /**
     * Writes the comparison in one line.
     *
     * @return the text
     */
    @Override
    public String toString() {
      return String.format(
          Locale.ROOT, "%s %s: %d of %d elements differ, max abs error %.3g, max rel error %.3g",
          ok() ? "ok  " : "FAIL", name, wrong, elements, maxAbsoluteError, maxRelativeError);
    }
  }
}
