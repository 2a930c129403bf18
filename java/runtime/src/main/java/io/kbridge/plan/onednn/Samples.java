package io.kbridge.plan.onednn;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import io.kbridge.plan.NativeArrays;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Finds out whether a graph computes each sample of a batch by itself: then a batch may be cut into parts. Goes by the operations and by the
 * shapes that the graph declares; what it does not know for certain is not so.
 */
final class Samples {
  private static final Set<String> WINDOWS = Set.of("Conv", "DepthwiseConv", "SeparableConv", "MaxPool", "AveragePool");
  private static final Set<String> OVER_AXES = Set.of("Mean", "Max", "Softmax", "Concatenate", "BatchNorm");

  private final Map<String, long[]> shapes = new HashMap<>();
  private final Set<String> batched = new HashSet<>();

  private Samples() {}

  /** Tells whether all inputs and outputs of a graph have samples as their first axis, each computed by itself. */
  static boolean areApart(ModelGraph graph) {
    Samples samples = new Samples();
    graph.weights().values().forEach(samples::put);
    graph.constants().values().forEach(samples::put);
    for (GraphInput input : graph.inputs()) {
      samples.shapes.put(input.value().name(), input.value().shape());
      samples.batched.add(input.value().name());
    }
    return graph.inputs().stream().allMatch(input -> isBatch(input.value().shape()))
        && graph.nodes().stream().allMatch(samples::take)
        && graph.outputs().stream().allMatch(output -> samples.batched.contains(output.value()));
  }

  private void put(ArrayEntry entry) {
    shapes.put(entry.value().name(), entry.value().shape());
  }

  /** Notes what a node gives; false if that is not known to be of samples or of none. */
  private boolean take(GraphNode node) {
    if (node.outputs().size() != 1 || !node.bodies().isEmpty()) {
      return false;
    }
    ValueInfo output = node.outputs().get(0);
    shapes.put(output.name(), output.shape());
    if (node.inputs().stream().noneMatch(batched::contains)) {
      return node.shapeReferences().isEmpty() && Arrays.stream(output.shape()).noneMatch(size -> size == ValueInfo.ANY) && isKnown(node);
    }
    batched.add(output.name());
    return isBatch(output.shape()) && keepsApart(node, output.shape());
  }

  /** Tells whether an operation gives the same numbers whenever it gets the same. */
  private static boolean isKnown(GraphNode node) {
    return node.op().equals("Reshape") || Eltwise.of(node) != null || Binary.of(node) != null;
  }

  private boolean keepsApart(GraphNode node, long[] shape) {
    String op = node.op();
    List<String> inputs = node.inputs();
    if (WINDOWS.contains(op)) {
      return onlyFirst(inputs);
    }
    if (op.equals("Matmul")) {
      return onlyFirst(inputs) && shapes.get(inputs.get(1)).length == 2 && shapes.get(inputs.get(0)).length >= 2;
    }
    if (op.equals("Pad")) {
      JsonNode samples = node.attrs().json("pad_width").path(0);
      return onlyFirst(inputs) && samples.size() == 2 && samples.get(0).asInt(1) == 0 && samples.get(1).asInt(1) == 0;
    }
    if (op.equals("Reshape")) {
      return inputs.size() == 1 && NativeArrays.length(rest(shape)) == NativeArrays.length(rest(shapes.get(inputs.get(0))));
    }
    if (OVER_AXES.contains(op)) {
      return spares(node.attrs().json("axis")) && (op.equals("Concatenate") ? batched.containsAll(inputs) : onlyFirst(inputs));
    }
    return Eltwise.of(node) != null || Binary.of(node) != null && inputs.stream().allMatch(input -> aligns(input, shape));
  }

  private boolean onlyFirst(List<String> inputs) {
    return batched.contains(inputs.get(0)) && inputs.stream().skip(1).noneMatch(batched::contains);
  }

  /** Tells whether an operand's samples, or its one number for all of them, meet those of the result. */
  private boolean aligns(String input, long[] shape) {
    long[] own = shapes.get(input);
    return batched.contains(input) ? own.length == shape.length : own.length < shape.length || own[0] == 1;
  }

  /** Tells whether axes are known and the samples' one is not among them. */
  private static boolean spares(JsonNode axes) {
    if (axes.isArray() && axes.size() > 0) {
      return IntStream.range(0, axes.size()).allMatch(i -> axes.get(i).asInt(0) > 0);
    }
    return axes.asInt(0) > 0;
  }

  private static boolean isBatch(long[] shape) {
    return shape.length > 0 && shape[0] == ValueInfo.ANY && Arrays.stream(rest(shape)).noneMatch(size -> size == ValueInfo.ANY);
  }

  private static long[] rest(long[] shape) {
    return Arrays.copyOfRange(shape, 1, shape.length);
  }
}
