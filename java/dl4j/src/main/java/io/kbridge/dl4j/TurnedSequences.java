package io.kbridge.dl4j;

import org.deeplearning4j.nn.api.MaskState;
import org.deeplearning4j.nn.conf.InputPreProcessor;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.workspace.ArrayType;
import org.deeplearning4j.nn.workspace.LayerWorkspaceMgr;
import org.nd4j.common.primitives.Pair;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Puts the features of sequences before their steps, or back behind them. DL4J can say it with two of its own preprocessors, but those ask a
 * {@code ComputationGraph} for its batch size, which is that of the last training step. A network that has this one needs {@code kbridge-dl4j}
 * on the class path where it is restored.
 */
public final class TurnedSequences implements InputPreProcessor {
  private static final long serialVersionUID = 1;

  /** Makes one; also for networks that are restored. */
  public TurnedSequences() {}

  @Override
  public INDArray preProcess(INDArray input, int miniBatchSize, LayerWorkspaceMgr workspaces) {
    return workspaces.dup(ArrayType.ACTIVATIONS, input.permute(0, 2, 1), 'c');
  }

  @Override
  public INDArray backprop(INDArray output, int miniBatchSize, LayerWorkspaceMgr workspaces) {
    return workspaces.dup(ArrayType.ACTIVATION_GRAD, output.permute(0, 2, 1), 'c');
  }

  @Override
  public InputType getOutputType(InputType type) {
    InputType.InputTypeRecurrent sequences = (InputType.InputTypeRecurrent) type;
    RNNFormat other = sequences.getFormat() == RNNFormat.NCW ? RNNFormat.NWC : RNNFormat.NCW;
    return InputType.recurrent(sequences.getSize(), sequences.getTimeSeriesLength(), other);
  }

  @Override
  public Pair<INDArray, MaskState> feedForwardMaskArray(INDArray mask, MaskState state, int miniBatchSize) {
    return new Pair<>(mask, state);
  }

  @Override
  public TurnedSequences clone() {
    return new TurnedSequences();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof TurnedSequences;
  }

  @Override
  public int hashCode() {
    return TurnedSequences.class.hashCode();
  }
}
