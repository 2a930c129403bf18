package io.kbridge.plan.onednn;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.graph.GraphNode;
import java.util.Map;
import java.util.Set;

/** {@code Pad} nodes that a convolution or pooling can do by itself. */
final class Padding {
  private static final Set<String> CONVOLUTIONS = Set.of("Conv", "DepthwiseConv");
  private static final Set<String> NOT_NEGATIVE = Set.of("Relu", "Relu6", "Sigmoid", "Softmax", "Softplus", "Exp", "Square", "Abs", "Absolute");

  private Padding() {}

  /**
   * Tells whether a padding and what reads it may be one primitive: zeros around a convolution, or around a pooling that gives the same
   * with zeros as without. oneDNN's maximum leaves the padding out, which is the same as zeros if nothing is negative.
   *
   * @param pad the padding
   * @param next its reader
   * @param producers the node that makes each value
   * @return true if so
   */
  static boolean folds(GraphNode pad, GraphNode next, Map<String, GraphNode> producers) {
    if (!pad.attrs().getString("mode", "constant").equals("constant") || !isZero(pad) || !isPlain(pad.attrs().json("pad_width"))) {
      return false;
    }
    if (CONVOLUTIONS.contains(next.op())) {
      return next.inputs().get(0).equals(pad.outputs().get(0).name());
    }
    if (next.op().equals("AveragePool")) {
      return next.attrs().getString("padding", "valid").equals("valid");
    }
    GraphNode producer = producers.get(pad.inputs().get(0));
    return next.op().equals("MaxPool") && producer != null && NOT_NEGATIVE.contains(producer.op());
  }

  private static boolean isZero(GraphNode pad) {
    JsonNode value = pad.attrs().json("constant_values");
    boolean absent = value.isNull() && pad.inputs().size() == 1;
    return absent || value.isNumber() && value.doubleValue() == 0 && pad.inputs().size() == 1;
  }

  private static boolean isPlain(JsonNode widths) {
    for (JsonNode pair : widths) {
      for (JsonNode width : pair) {
        if (!width.canConvertToInt() || width.intValue() < 0) {
          return false;
        }
      }
    }
    return widths.isArray();
  }
}
