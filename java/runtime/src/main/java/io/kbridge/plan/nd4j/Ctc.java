package io.kbridge.plan.nd4j;

import io.kbridge.plan.HostMemory;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.LongPointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Connectionist temporal classification. Inputs are labels, logits of each frame, and how many of either count for each sample. Done here,
 * not by ND4J's operation, for TensorFlow's numbers where labels do not fit into the frames.
 */
final class Ctc {
  private final int blank;
  private final int classes;
  private final INDArray labels;
  private final INDArray logits;
  private final INDArray labelCounts;
  private final INDArray frameCounts;
  private final INDArray found;
  private final CtcAlignments alignments;

  private Ctc(OpContext context, Kernel k, INDArray found) {
    this.found = found;
    // NB: TensorFlow computes float64 logits in float32, too.
    logits = dense(k, k.input(1, DataType.FLOAT), DataType.DOUBLE);
    labels = dense(k, context.input(0), DataType.INT64);
    labelCounts = dense(k, context.input(2), DataType.INT64);
    frameCounts = dense(k, context.input(3), DataType.INT64);
    classes = (int) logits.size(2);
    int given = context.attrs().getInt("mask_index", 0);
    blank = given < 0 ? given + classes : given;
    alignments = new CtcAlignments((int) logits.size(1), classes, (int) labels.size(1));
  }

  private static INDArray dense(Kernel k, INDArray x, DataType type) {
    INDArray copy = k.scratch(type, x.shape());
    k.cast(x, copy);
    return copy;
  }

  /**
   * {@code CTCLoss}: the loss of each sample.
   *
   * @param context the node
   * @return the step
   */
  static Step loss(OpContext context) {
    return step(context, false, context.input(0).size(0));
  }

  /**
   * {@code CTCLossGrad}, of the same inputs: the gradient of each sample's loss with respect to its logits.
   *
   * @param context the node
   * @return the step
   */
  static Step gradient(OpContext context) {
    return step(context, true, context.input(1).shape());
  }

  private static Step step(OpContext context, boolean gradient, long... shape) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, shape);
    if (context.input(0).rank() != 2 || context.input(0).size(1) == 0 || context.input(1).rank() != 3) {
      throw k.unsupported("labels of rank 2, with at least one place, and logits of rank 3", context.input(0).shapeInfoToString());
    }
    INDArray found = k.scratch(DataType.DOUBLE, shape);
    Ctc ctc = new Ctc(context, k, found);
    if (z.length() > 0) {
      k.then(() -> ctc.run(gradient));
    }
    return k.cast(found, z).step();
  }

  private void run(boolean gradient) {
    HostMemory results = new HostMemory(found);
    DoublePointer from = new DoublePointer(NativeArrays.readable(logits));
    DoublePointer to = new DoublePointer(results.pointer());
    LongPointer places = new LongPointer(NativeArrays.readable(labels));
    LongPointer labelsOf = new LongPointer(NativeArrays.readable(labelCounts));
    LongPointer framesOf = new LongPointer(NativeArrays.readable(frameCounts));
    double[] sample = new double[(int) (logits.size(1) * classes)];
    double[] slopes = new double[sample.length];
    long[] sentence = new long[(int) labels.size(1)];
    for (long i = 0; i < logits.size(0); i++) {
      from.position(i * sample.length).get(sample);
      places.position(i * sentence.length).get(sentence);
      blankFirst(sample, sentence);
      alignments.read(sample, sentence, labelsOf.get(i), framesOf.get(i));
      if (gradient) {
        alignments.gradient(framesOf.get(i), slopes);
        blankBack(slopes);
        to.position(i * slopes.length).put(slopes, 0, slopes.length);
      } else {
        to.put(i, alignments.loss());
      }
    }
    results.publish();
  }

  private void blankFirst(double[] rows, long[] sentence) {
    for (int row = 0; row < rows.length && blank > 0; row += classes) {
      double last = rows[row + blank];
      System.arraycopy(rows, row, rows, row + 1, blank);
      rows[row] = last;
    }
    for (int i = 0; i < sentence.length && blank > 0; i++) {
      sentence[i] += sentence[i] < blank ? 1 : 0;
    }
  }

  private void blankBack(double[] rows) {
    for (int row = 0; row < rows.length && blank > 0; row += classes) {
      double first = rows[row];
      System.arraycopy(rows, row + 1, rows, row, blank);
      rows[row + blank] = first;
    }
  }
}
