package io.kbridge.dl4j;

import java.util.Map;
import java.util.TreeMap;

/** The Keras layers that DL4J's own layers can say. */
final class Layers {
  private static final Map<String, LayerMapping> ALL = new TreeMap<>();

  static {
    CoreLayers.register(ALL);
    ConvolutionLayers.register(ALL);
    SequenceLayers.register(ALL);
    MergeLayers.register(ALL);
  }

  private Layers() {}

  /** Returns a mapping, or null. */
  static LayerMapping of(String className) {
    return ALL.get(className);
  }
}
