package io.kbridge.plan;

import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A body of a control-flow node, compiled over memory of the node's plan. Its arrays keep their content between runs, until the node's own
 * step ends.
 */
public final class CompiledBody {
  private final StepList once;
  private final StepList each;
  private final List<INDArray> outputs;
  private final boolean[] read;
  private final long bytes;

  CompiledBody(StepList once, StepList each, List<INDArray> outputs, boolean[] read, long bytes) {
    this.once = once;
    this.each = each;
    this.outputs = outputs;
    this.read = read;
    this.bytes = bytes;
  }

  /**
   * Returns how much memory the body computes in.
   *
   * @return bytes, without what it is bound to
   */
  public long bytes() {
    return bytes;
  }

  /** Computes what depends on the graph around the body alone. To be called once, before the first {@link #run}, whenever the node runs. */
  public void prepare() {
    once.run();
  }

  /** Runs the body: from what its inputs hold to its outputs. */
  public void run() {
    each.run();
  }

  /**
   * Returns an output.
   *
   * @param i the output
   * @return where it is after a run; it may be memory of an input, of another output or of a value of the graph around
   */
  public INDArray output(int i) {
    return outputs.get(i);
  }

  /**
   * Returns how many outputs there are.
   *
   * @return the count
   */
  public int outputCount() {
    return outputs.size();
  }

  /**
   * Tells whether the body makes any use of an input.
   *
   * @param i the input
   * @return false if nothing depends on it
   */
  public boolean reads(int i) {
    return read[i];
  }
}
