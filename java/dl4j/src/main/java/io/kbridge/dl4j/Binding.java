package io.kbridge.dl4j;

/** Says that a parameter of a vertex is a weight of the bundle. Immutable. */
final class Binding {
  private final String vertex;
  private final String parameter;
  private final String weight;
  private final Layout layout;

  Binding(String vertex, String parameter, String weight, Layout layout) {
    this.vertex = vertex;
    this.parameter = parameter;
    this.weight = weight;
    this.layout = layout;
  }

  String vertex() {
    return vertex;
  }

  String parameter() {
    return parameter;
  }

  /** The weight's name, or null where Keras has none and the parameter holds a number that changes nothing. */
  String weight() {
    return weight;
  }

  Layout layout() {
    return layout;
  }
}
