package io.kbridge.dl4j;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.KBridgeModel;
import io.kbridge.NetworkForms;
import io.kbridge.bundle.Bundle;
import io.kbridge.train.optimizer.Optimizer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.InputPreProcessor;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.WorkspaceMode;
import org.deeplearning4j.nn.conf.graph.PreprocessorVertex;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.EmbeddingSequenceLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.recurrent.TimeDistributed;
import org.deeplearning4j.nn.conf.preprocessor.ComposableInputPreProcessor;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.activations.impl.ActivationIdentity;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.ops.transforms.Transforms;

/**
 * DL4J's own networks of a bundle, and the way back. Layers and parameters carry Keras's names; inputs are as Keras has them, channels and features
 * last.
 */
public final class Networks implements NetworkForms {
  /** Makes the forms; for the service loader. */
  public Networks() {}

  @Override
  public ComputationGraph computationGraph(KBridgeModel model, Bundle bundle, Map<String, INDArray> weights) {
    NetworkPlan plan = plan(bundle);
    ComputationGraphConfiguration configuration = configuration(plan);
    ComputationGraph network = new ComputationGraph(configuration);
    network.init(room(plan, configuration.getVertices().values().stream().mapToLong(vertex -> vertex.numParams(true)).sum()), false);
    Parameters parameters = new Parameters(plan, Parameters.of(network));
    parameters.set(weights);
    UpdaterState.restore(plan, network, bundle);
    prove(model, bundle, weights, plan, given -> List.of(network.output(false, inOrder(plan, given))));
    proveStep(
        bundle,
        weights,
        plan,
        (x, y) -> {
          ComputationGraph copy = network.clone();
          // NB: a clone begins to count anew.
          copy.getConfiguration().setIterationCount(network.getConfiguration().getIterationCount());
          copy.fit(x, y);
          return new Parameters(plan, Parameters.of(copy)).get();
        });
    return network;
  }

  @Override
  public MultiLayerNetwork multiLayerNetwork(KBridgeModel model, Bundle bundle, Map<String, INDArray> weights) {
    NetworkPlan plan = plan(bundle);
    MultiLayerConfiguration configuration = chain(plan);
    MultiLayerNetwork network = new MultiLayerNetwork(configuration);
    network.init(room(plan, configuration.getConfs().stream().mapToLong(conf -> conf.getLayer().initializer().numParams(conf)).sum()), false);
    Parameters parameters = new Parameters(plan, Parameters.of(network));
    parameters.set(weights);
    UpdaterState.restore(plan, network, bundle);
    prove(model, bundle, weights, plan, given -> List.of(network.output(inOrder(plan, given)[0], false)));
    proveStep(
        bundle,
        weights,
        plan,
        (x, y) -> {
          MultiLayerNetwork copy = network.clone();
          // NB: a clone begins to count anew.
          copy.getLayerWiseConfigurations().setIterationCount(network.getLayerWiseConfigurations().getIterationCount());
          copy.fit(x[0], y[0]);
          return new Parameters(plan, Parameters.of(copy)).get();
        });
    return network;
  }

  @Override
  public Map<String, INDArray> weights(Bundle bundle, Object network) {
    NetworkPlan plan = plan(bundle);
    if (network instanceof ComputationGraph) {
      return new Parameters(plan, Parameters.of((ComputationGraph) network)).get();
    }
    if (network instanceof MultiLayerNetwork) {
      return new Parameters(plan, Parameters.of((MultiLayerNetwork) network)).get();
    }
    throw new KBridgeException(
        ErrorCode.INVALID_INPUT,
        "Expected a ComputationGraph or a MultiLayerNetwork. Received: " + (network == null ? "null" : network.getClass().getName()) + ".");
  }

  @Override
  public Optimizer optimizer(Bundle bundle, Object network, Map<String, INDArray> weights) {
    NetworkPlan plan = plan(bundle);
    return network instanceof ComputationGraph
        ? UpdaterState.optimizer(plan, (ComputationGraph) network, bundle, weights)
        : UpdaterState.optimizer(plan, (MultiLayerNetwork) network, bundle, weights);
  }

  /** Parameters for a network to begin with: without them it draws its own, which for an orthogonal matrix of 128 by 512 takes minutes. */
  private static INDArray room(NetworkPlan plan, long parameters) {
    return parameters == 0 ? null : Nd4j.zeros(plan.dataType(), 1, parameters);
  }

  private static NetworkPlan plan(Bundle bundle) {
    return NetworkPlan.of(bundle.graph(), bundle.training());
  }

  /** NB: copies, because DL4J's activation layers write to their input, and golden samples lie in memory that cannot be written to. */
  private static INDArray[] inOrder(NetworkPlan plan, Map<String, INDArray> given) {
    return plan.graph().inputs().stream()
        .map(input -> given.get(input.value().name()).castTo(plan.dataType()).dup('c')).toArray(INDArray[]::new);
  }

  /** Lets a network answer the golden samples before it is handed out. */
  private static void prove(
      KBridgeModel model,
      Bundle bundle,
      Map<String, INDArray> weights,
      NetworkPlan plan,
      Function<Map<String, INDArray>, List<INDArray>> network) {
    Function<Map<String, INDArray>, Map<String, INDArray>> named =
        given -> {
          List<INDArray> found = network.apply(given);
          Map<String, INDArray> outputs = new LinkedHashMap<>();
          for (int i = 0; i < found.size(); i++) {
            outputs.put(plan.outputNames().get(i), found.get(i));
          }
          return outputs;
        };
    // NB: golden samples tell of the file's weights.
    if (bundle.golden() != null && bundle.has(weights)) {
      model.selfTestOf(named).orThrow();
    } else {
      compare(model, named, Samples.of(bundle.graph()));
    }
  }

  private static void proveStep(
      Bundle bundle, Map<String, INDArray> weights, NetworkPlan plan, BiFunction<INDArray[], INDArray[], Map<String, INDArray>> step) {
    // NB: the trainer starts with the file's weights.
    if (bundle.has(weights)) {
      StepProof.run(bundle, plan, bundle.golden() == null ? Samples.of(bundle.graph()) : bundle.golden().inputs(), step);
    }
  }

  /** Compares with kbridge's own answers: a bundle that was trained since it was exported has no golden samples. */
  private static void compare(
      KBridgeModel model, Function<Map<String, INDArray>, Map<String, INDArray>> network, Map<String, INDArray> samples) {
    Map<String, INDArray> found = network.apply(samples);
    model
        .predict(samples)
        .forEach(
            (name, expected) -> {
              INDArray wrong = Transforms.abs(found.get(name).sub(expected)).sub(Transforms.abs(expected).mul(1e-4)).gt(1e-5);
              if (wrong.any()) {
                throw new KBridgeException(
                    ErrorCode.SELF_TEST_FAILED,
                    "Expected a network that answers as the model does. Received: other numbers for '" + name
                        + "'. DL4J computes this model wrong: run it with predict(), and please report it.");
              }
            });
  }

  /** Some layers, and some that are no output layers where an output is, give arrays of workspaces that are closed by then. */
  private static boolean usesWorkspaces(NetworkPlan plan) {
    boolean leaves =
        plan.vertices().stream().anyMatch(v -> v.layer() instanceof TimeDistributed || v.layer() instanceof EmbeddingSequenceLayer);
    return plan.training().compiled() && !leaves;
  }

  private static NeuralNetConfiguration.Builder common(NetworkPlan plan) {
    WorkspaceMode mode = usesWorkspaces(plan) ? WorkspaceMode.ENABLED : WorkspaceMode.NONE;
    return new NeuralNetConfiguration.Builder()
        .dataType(plan.dataType()).updater(plan.updater()).miniBatch(true).inferenceWorkspaceMode(mode).trainingWorkspaceMode(mode);
  }

  private static ComputationGraphConfiguration configuration(NetworkPlan plan) {
    ComputationGraphConfiguration.GraphBuilder builder = common(plan).graphBuilder();
    plan.graph().inputs().forEach(input -> builder.addInputs(input.value().name()));
    for (NetworkPlan.Vertex vertex : plan.vertices()) {
      String[] inputs = vertex.inputs().toArray(new String[0]);
      if (vertex.layer() != null) {
        builder.addLayer(vertex.name(), vertex.layer(), inputs);
      } else if (vertex.vertex() != null) {
        builder.addVertex(vertex.name(), vertex.vertex(), inputs);
      } else {
        builder.addVertex(vertex.name(), new PreprocessorVertex(vertex.preprocessor()), inputs);
      }
    }
    return builder.setOutputs(plan.outputs().toArray(new String[0])).validateOutputLayerConfig(false).build();
  }

  private static MultiLayerConfiguration chain(NetworkPlan plan) {
    NeuralNetConfiguration.ListBuilder builder = common(plan).list();
    Problems problems = new Problems();
    String last = plan.graph().inputs().get(0).value().name();
    if (plan.graph().inputs().size() != 1 || plan.outputs().size() != 1) {
      problems.add(plan.graph().name(), "the model", "a MultiLayerNetwork has one input and one output: use toComputationGraph()");
    }
    InputPreProcessor waiting = null;
    int index = 0;
    for (NetworkPlan.Vertex vertex : plan.vertices()) {
      if (vertex.vertex() != null || vertex.inputs().size() != 1 || !vertex.inputs().get(0).equals(last)) {
        problems.add(vertex.name(), "a vertex", "a MultiLayerNetwork is a chain of layers: use toComputationGraph()");
        continue;
      }
      last = vertex.name();
      if (vertex.preprocessor() != null) {
        waiting = waiting == null ? vertex.preprocessor() : new ComposableInputPreProcessor(waiting, vertex.preprocessor());
        continue;
      }
      index = add(builder, index, vertex.layer(), waiting);
      waiting = null;
    }
    if (waiting != null) {
      add(builder, index, new ActivationLayer.Builder().activation(new ActivationIdentity()).build(), waiting);
    }
    problems.orThrow();
    return builder.validateOutputLayerConfig(false).build();
  }

  private static int add(NeuralNetConfiguration.ListBuilder builder, int index, Layer layer, InputPreProcessor waiting) {
    if (waiting != null) {
      builder.inputPreProcessor(index, waiting);
    }
    builder.layer(index, layer);
    return index + 1;
  }
}
