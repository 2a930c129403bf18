package io.kbridge.plan.onednn;

import java.util.function.Supplier;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A kernel in 8 bits: each channel of the result has a step of its own, which the primitive multiplies the whole sum by, and by the step of what it
 * reads. What is absorbed of the chain is in the steps and in the bias.
 */
final class SmallKernel {
  private final INDArray w;
  private final Affine affine;
  private final Numbers source;
  private final float[] steps;

  /**
   * Finds the steps.
   *
   * @param site the chain
   * @param w the kernel, whose last axes are the channels
   * @param affine what is put into it
   * @param source how the numbers are stored that it is multiplied by
   */
  SmallKernel(Site site, INDArray w, Affine affine, Numbers source) {
    this.w = w;
    this.affine = affine;
    this.source = source;
    this.steps = site.weights().steps(site.key(affine.links()), this::findSteps);
  }

  private float[] findSteps() {
    float[] content = scaled();
    float[] largest = new float[affine.scale().length];
    for (int i = 0; i < content.length; i += largest.length) {
      for (int c = 0; c < largest.length; c++) {
        largest[c] = Math.max(largest[c], Math.abs(content[i + c]));
      }
    }
    for (int c = 0; c < largest.length; c++) {
      largest[c] = largest[c] == 0 ? 1 : largest[c] / Numbers.LARGEST;
    }
    return largest;
  }

  private float[] scaled() {
    return affine.scaled(OneDnn.content(w));
  }

  /** Gives the numbers in the order of the kernel. */
  Supplier<Pointer> content() {
    return () -> {
      float[] content = scaled();
      byte[] rounded = new byte[content.length];
      for (int i = 0; i < content.length; i++) {
        rounded[i] = (byte) Math.rint(content[i] / steps[i % steps.length]);
      }
      return new BytePointer(rounded);
    };
  }

  /** Gives the bias in multiples of the steps, which oneDNN adds to a sum before it multiplies. */
  float[] bias() {
    float[] bias = affine.shift();
    for (int c = 0; c < bias.length; c++) {
      bias[c] = (float) (bias[c] / (source.step() * steps[c]));
    }
    return bias;
  }

  /** Lets a primitive multiply its sums. */
  void scale(primitive_attr attr) {
    float[] factors = new float[steps.length];
    for (int c = 0; c < factors.length; c++) {
      factors[c] = (float) (source.step() * steps[c]);
    }
    // NB: one for each index of dimension 1.
    attr.set_output_scales(1 << 1, factors);
  }
}
