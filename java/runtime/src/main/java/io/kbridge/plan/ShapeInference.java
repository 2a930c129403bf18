package io.kbridge.plan;

import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Finds the shape of every value of a graph, for known shapes of what is given: by compiling it, which is what settles shapes. */
public final class ShapeInference {
  private ShapeInference() {}

  /**
   * Finds the shapes.
   *
   * @param nodes the graph's nodes
   * @param given what the nodes read and none of them makes: the shapes have no open size
   * @param wanted names of the values that are asked for
   * @param registry the ops
   * @return the shape of each value that the wanted ones depend on, by its name; of those in bodies, too
   */
  public static Map<String, long[]> shapes(
      List<GraphNode> nodes, Collection<ValueInfo> given, Collection<String> wanted, OpRegistry registry) {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    try (Arena arena = new Arena();
        Constants none = Constants.none()) {
      GraphCompiler compiler =
          new GraphCompiler(
              registry,
              none,
              arena,
              Engine.Session.NONE,
              false,
              nodes,
              wanted,
              Map.of(),
              (name, array) -> shapes.put(name, array.shape()));
      for (ValueInfo value : given) {
        compiler.input(value.name(), place(arena, value.type(), value.shape()));
      }
      compiler.compile();
      wanted.forEach(compiler::value);
    }
    return shapes;
  }

  /** Makes an array in a plan's memory. */
  static Value place(Arena arena, ElementType type, long... shape) {
    long bytes = Math.multiplyExact(NativeArrays.length(shape), (long) type.bytes());
    if (bytes == 0) {
      return new Value(NativeArrays.empty(type.dataType(), shape), null, false);
    }
    Arena.Block block = arena.allocate(bytes);
    return new Value(arena.array(block, type.dataType(), shape), block, false);
  }
}
