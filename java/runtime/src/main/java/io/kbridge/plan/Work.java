package io.kbridge.plan;

import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Estimates how long one thread takes for a graph. Sharing an operation out costs microseconds, and more beside a busy process, so what is done
 * in a moment is better done by one thread. An estimate and no measurement, so that a model gives the same bits each time.
 */
final class Work {
  /** What takes less than this is done by one thread. */
  private static final double MOMENT_NS = 200_000;
  // NB: an estimate that is several times too long for small graphs; to give a part away and get it back takes about half a microsecond.
  private static final double SHARED_NS = 20_000;
  // NB: measured on AVX-512: half of what one core can do in large products, and a core's share of memory.
  private static final double PRODUCTS_PER_NS = 25;
  private static final double ELEMENTS_PER_NS = 2;
  private static final long UNKNOWN_STEPS = 100;

  private final Map<String, long[]> shapes = new HashMap<>();
  private final long batch;
  private final long size;

  private Work(ModelGraph graph, Map<String, long[]> given) {
    long rows = 1;
    long largest = 1;
    for (GraphInput input : graph.inputs()) {
      long[] actual = given.get(input.value().name());
      long[] declared = input.value().shape();
      for (int i = 0; actual != null && i < declared.length; i++) {
        if (declared[i] == ValueInfo.ANY && i == 0) {
          rows = Math.max(rows, actual[i]);
        } else if (declared[i] == ValueInfo.ANY) {
          largest = Math.max(largest, actual[i]);
        }
      }
    }
    batch = rows;
    size = largest;
    graph.weights().values().forEach(this::put);
    graph.constants().values().forEach(this::put);
    graph.states().values().forEach(this::put);
  }

  /**
   * Tells whether a graph is computed in a moment.
   *
   * @param graph the graph
   * @param given the shapes of its inputs
   * @return true if one thread is enough
   */
  static boolean isSmall(ModelGraph graph, Map<String, long[]> given) {
    return new Work(graph, given).nanoseconds(graph.nodes()) < MOMENT_NS;
  }

  /**
   * Tells whether a graph that is computed in a moment takes long enough that a second thread may help.
   *
   * @param graph the graph
   * @param given the shapes of its inputs
   * @return false if one thread alone is faster
   */
  static boolean isWorthHelp(ModelGraph graph, Map<String, long[]> given) {
    return new Work(graph, given).nanoseconds(graph.nodes()) >= SHARED_NS;
  }

  private void put(ArrayEntry entry) {
    shapes.put(entry.value().name(), entry.value().shape());
  }

  private double nanoseconds(List<GraphNode> nodes) {
    double sum = 0;
    for (GraphNode node : nodes) {
      double elements = 0;
      for (ValueInfo output : node.outputs()) {
        elements += length(output.shape());
      }
      sum += elements / ELEMENTS_PER_NS + elements * terms(node) / PRODUCTS_PER_NS;
      for (GraphBody body : node.bodies()) {
        sum += nanoseconds(body.nodes()) * Math.max(size, UNKNOWN_STEPS);
      }
      node.outputs().forEach(output -> shapes.put(output.name(), output.shape()));
    }
    return sum;
  }

  /** Counts the products that are added up for each element of a node's output. */
  private double terms(GraphNode node) {
    String op = node.op();
    if (op.endsWith("Conv") || op.endsWith("ConvTranspose")) {
      // NB: of a separable convolution the pointwise kernel, which is most of it.
      long[] kernel = shapes.get(node.inputs().get(node.inputs().size() - 1));
      int channels = op.startsWith("Depthwise") ? 2 : 1;
      return kernel == null || kernel.length < 3 ? size : length(Arrays.copyOf(kernel, kernel.length - channels));
    }
    if (op.equals("Matmul") || op.equals("Einsum") || op.equals("Tensordot") || op.equals("Dot")) {
      long[] left = node.inputs().get(0) == null ? null : shapes.get(node.inputs().get(0));
      return left == null || left.length == 0 ? size : length(new long[] {1, left[left.length - 1]});
    }
    return 0;
  }

  /** Counts elements; sizes that are known at call time only are those of the inputs. */
  private double length(long[] shape) {
    double product = 1;
    for (int i = 0; i < shape.length; i++) {
      product *= shape[i] != ValueInfo.ANY ? shape[i] : i == 0 ? batch : size;
    }
    return product;
  }
}
