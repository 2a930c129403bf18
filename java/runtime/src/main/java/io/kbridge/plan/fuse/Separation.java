package io.kbridge.plan.fuse;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Takes {@code SeparableConv} apart into the two convolutions it is made of, each of which can be the head of a chain. */
public final class Separation {
  private Separation() {}

  /**
   * Replaces all such nodes of a list.
   *
   * @param nodes the nodes, in the order they run
   * @return the nodes, with two for each separable convolution
   */
  public static List<GraphNode> apply(List<GraphNode> nodes) {
    List<GraphNode> result = new ArrayList<>();
    for (GraphNode node : nodes) {
      if (node.op().equals("SeparableConv") && node.inputs().size() == 3 && !node.inputs().contains(null)) {
        result.addAll(parts(node));
      } else {
        result.add(node);
      }
    }
    return result;
  }

  private static List<GraphNode> parts(GraphNode node) {
    ValueInfo output = node.outputs().get(0);
    long[] unknown = new long[output.shape().length];
    Arrays.fill(unknown, ValueInfo.ANY);
    ValueInfo middle = new ValueInfo(node.name() + " depthwise", unknown, output.type());
    List<String> inputs = node.inputs();
    GraphNode first =
        new GraphNode(
            middle.name(), "DepthwiseConv", node.scope(), inputs.subList(0, 2), node.attrs(), List.of(middle));
    List<String> rest = List.of(middle.name(), inputs.get(2));
    return List.of(first, new GraphNode(node.name(), "Conv", node.scope(), rest, pointwise(node), node.outputs()));
  }

  private static Attributes pointwise(GraphNode node) {
    ObjectNode attrs = node.attrs().json().deepCopy();
    attrs.put("padding", "valid");
    for (String name : List.of("strides", "dilation_rate")) {
      ArrayNode ones = attrs.putArray(name);
      for (int i = 2; i < node.outputs().get(0).shape().length; i++) {
        ones.add(1);
      }
    }
    return new Attributes(attrs, node.toString());
  }
}
