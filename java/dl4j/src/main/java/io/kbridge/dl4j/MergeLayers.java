package io.kbridge.dl4j;

import java.util.Arrays;
import java.util.Map;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.graph.MergeVertex;

/** Layers that put several inputs together. */
final class MergeLayers {
  private MergeLayers() {}

  static void register(Map<String, LayerMapping> layers) {
    layers.put("Add", layer -> elementwise(layer, ElementWiseVertex.Op.Add));
    layers.put("Subtract", layer -> elementwise(layer, ElementWiseVertex.Op.Subtract));
    layers.put("Multiply", layer -> elementwise(layer, ElementWiseVertex.Op.Product));
    layers.put("Average", layer -> elementwise(layer, ElementWiseVertex.Op.Average));
    layers.put("Maximum", layer -> elementwise(layer, ElementWiseVertex.Op.Max));
    layers.put("Concatenate", MergeLayers::concatenate);
  }

  private static void elementwise(LayerContext layer, ElementWiseVertex.Op op) {
    for (int i = 1; i < layer.inputs(); i++) {
      if (layer.in(i).length != layer.in(0).length) {
        throw new Unsayable("its inputs differ in their number of axes");
      }
      if (!Arrays.equals(layer.in(i), layer.in(0))) {
        layer.requireNotTrained(true, "its inputs differ in shape, through which DL4J gives other gradients");
      }
    }
    layer.vertex(new ElementWiseVertex(op));
  }

  private static void concatenate(LayerContext layer) {
    int axis = layer.config("axis").asInt(-1);
    int rank = layer.in(0).length;
    MergeVertex vertex = new MergeVertex();
    vertex.setMergeAxis(axis < 0 ? axis + rank : axis);
    vertex.setModified(true);
    layer.vertex(vertex);
  }
}
