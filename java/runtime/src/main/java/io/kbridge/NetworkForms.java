package io.kbridge;

import io.kbridge.bundle.Bundle;
import io.kbridge.train.optimizer.Optimizer;
import java.util.Map;
import java.util.ServiceLoader;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * What {@code kbridge-dl4j} adds: models as networks of Deeplearning4j. Found by {@link ServiceLoader}, so that nothing else needs Deeplearning4j's
 * networks. Applications call {@link KBridgeModel#toComputationGraph()} and {@link KBridge#updateBundle}.
 */
public interface NetworkForms {
  /**
   * Makes a {@code ComputationGraph}.
   *
   * @param model the model
   * @param bundle its bundle
   * @param weights the weights it has now, by name
   * @return the network
   */
  Object computationGraph(KBridgeModel model, Bundle bundle, Map<String, INDArray> weights);

  /**
   * Makes a {@code MultiLayerNetwork}.
   *
   * @param model the model
   * @param bundle its bundle
   * @param weights the weights it has now, by name
   * @return the network
   */
  Object multiLayerNetwork(KBridgeModel model, Bundle bundle, Map<String, INDArray> weights);

  /**
   * Reads what a network has learnt.
   *
   * @param bundle the bundle that the network was made of
   * @param network the network
   * @return the weights that it has, by the bundle's names
   */
  Map<String, INDArray> weights(Bundle bundle, Object network);

  /**
   * Reads how far a network's training is.
   *
   * @param bundle the bundle that the network was made of
   * @param network the network
   * @param weights what {@link #weights} returned
   * @return the bundle's optimizer with the state of the network's updater; null if there is none, or one of another kind
   */
  Optimizer optimizer(Bundle bundle, Object network, Map<String, INDArray> weights);

  /**
   * Returns what is on the class path.
   *
   * @return the forms
   * @throws KBridgeException UNSUPPORTED_OP if there are none
   */
  static NetworkForms find() {
    // NB: the class loader of this class, not the thread's: JPype's threads have no useful one.
    return ServiceLoader.load(NetworkForms.class, NetworkForms.class.getClassLoader())
        .findFirst()
        .orElseThrow(
            () -> new KBridgeException(
                ErrorCode.UNSUPPORTED_OP,
                "Expected io.kbridge:kbridge-dl4j on the class path, which makes Deeplearning4j's networks. Received: none. Add it and "
                    + "org.deeplearning4j:deeplearning4j-nn to the program's dependencies."));
  }
}
