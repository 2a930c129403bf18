package io.kbridge.bundle;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** The golden samples of a bundle: inputs, what native Keras answered for them, and the tolerances a runtime is held to. */
public final class Golden {
  private final Map<String, INDArray> inputs;
  private final Map<String, INDArray> outputs;
  private final double rtol;
  private final double atol;
  private final boolean scaled;
  // NB: the arrays lie in the bundle's mapped memory; this keeps it mapped.
  private final Bundle bundle;

  Golden(Map<String, INDArray> inputs, Map<String, INDArray> outputs, double rtol, double atol, boolean scaled, Bundle bundle) {
    this.inputs = Collections.unmodifiableMap(new LinkedHashMap<>(inputs));
    this.outputs = Collections.unmodifiableMap(new LinkedHashMap<>(outputs));
    this.rtol = rtol;
    this.atol = atol;
    this.scaled = scaled;
    this.bundle = bundle;
  }

  /**
   * Returns the inputs.
   *
   * @return the arrays by input name; not to be written to
   */
  public Map<String, INDArray> inputs() {
    return inputs;
  }

  /**
   * Returns what native Keras answered.
   *
   * @return the arrays by output name; not to be written to
   */
  public Map<String, INDArray> outputs() {
    return outputs;
  }

  /**
   * Returns the relative tolerance.
   *
   * @return the tolerance
   */
  public double rtol() {
    return rtol;
  }

  /**
   * Returns the absolute tolerance.
   *
   * @return the tolerance; a share of each output's largest magnitude if it is {@link #scaled}
   */
  public double atol() {
    return atol;
  }

  /**
   * Tells whether the absolute tolerance is a share of each output's largest magnitude, as for models that compute in half precision.
   *
   * @return true if it is
   */
  public boolean scaled() {
    return scaled;
  }

  /**
   * Returns the bundle the samples are in.
   *
   * @return the bundle
   */
  public Bundle bundle() {
    return bundle;
  }
}
