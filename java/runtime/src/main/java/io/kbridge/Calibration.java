package io.kbridge;

import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/**
 * How large the values of a model get that its convolutions and products read: found out on samples by {@link KBridgeModel#calibrate}, and needed to
 * compute with 8-bit numbers. Belongs to one bundle. Immutable.
 */
public final class Calibration {
  private static final Set<String> PRODUCTS = Set.of("Conv", "DepthwiseConv", "Matmul", "Einsum");

  private final Map<String, double[]> ranges;

  private Calibration(Map<String, double[]> ranges) {
    Map<String, double[]> copy = new LinkedHashMap<>();
    ranges.forEach((value, range) -> copy.put(value, checked(value, range)));
    this.ranges = Collections.unmodifiableMap(copy);
  }

  /**
   * Takes ranges that are known.
   *
   * @param ranges the smallest and the largest number of each value, by the value's name in the bundle
   * @return the calibration
   * @throws KBridgeException INVALID_INPUT if a range is none
   */
  public static Calibration of(Map<String, double[]> ranges) {
    return new Calibration(ranges);
  }

  private static double[] checked(String value, double[] range) {
    if (range.length != 2 || !(range[0] <= range[1]) || Double.isInfinite(range[0]) || Double.isInfinite(range[1])) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected the smallest and the largest number of '" + value + "', both finite. Received: " + Arrays.toString(range)
              + ". Calibrate with samples in which nothing is NaN or infinite.");
    }
    return range.clone();
  }

  /** Returns the values of a graph to look at: what its convolutions and products read first, also before padding. */
  static Set<String> valuesOf(ModelGraph graph) {
    Set<String> names = new LinkedHashSet<>();
    for (GraphNode node : graph.nodes()) {
      String first = node.inputs().isEmpty() ? null : node.inputs().get(0);
      boolean reads = (PRODUCTS.contains(node.op()) || node.op().equals("Pad")) && first != null && !graph.weights().containsKey(first) && !graph.constants().containsKey(first);
      if (reads && graph.values().get(first).type() == ElementType.FLOAT32) {
        names.add(first);
      }
    }
    return names;
  }

  /** Refuses a model that needs a calibration to be computed with 8-bit numbers, and has none or another model's. */
  static void require(ModelGraph graph, LoadOptions options) {
    if (!options.precision().equals("int8")) {
      return;
    }
    if (options.calibration() != null) {
      options.calibration().requireFor(graph);
    } else if (graph.nodes().stream().noneMatch(node -> isQuantised(node, graph))) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected a calibration for precision 'int8' (Python: calibration=samples; command line: --calibration samples.npy), or a model that "
              + "Keras has quantised (model.quantize('int8')). Received: '" + graph.name() + "', which computes in floating point. Give samples of real inputs.");
    }
  }

  private static boolean isQuantised(GraphNode node, ModelGraph graph) {
    return (PRODUCTS.contains(node.op()) || node.op().equals("Take"))
        && node.inputs().stream().anyMatch(value -> value != null && graph.values().get(value).type() == ElementType.INT8);
  }

  private void requireFor(ModelGraph graph) {
    Set<String> missing = valuesOf(graph);
    missing.removeAll(ranges.keySet());
    if (!missing.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected a calibration of '" + graph.name() + "', with the values that its products read. Received: one without "
              + missing.iterator().next() + " and " + (missing.size() - 1) + " others. Calibrate the same bundle.");
    }
  }

  /**
   * Returns the ranges.
   *
   * @return the smallest and the largest number of each value, by its name
   */
  public Map<String, double[]> ranges() {
    Map<String, double[]> copy = new LinkedHashMap<>();
    ranges.forEach((value, range) -> copy.put(value, range.clone()));
    return copy;
  }
}
