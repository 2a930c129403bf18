package io.kbridge.dl4j;

/** Says one class of Keras layers in DL4J. */
@FunctionalInterface
interface LayerMapping {
  /** Adds the vertices for one call of a layer, or throws {@link Unsayable}. */
  void build(LayerContext layer);
}
