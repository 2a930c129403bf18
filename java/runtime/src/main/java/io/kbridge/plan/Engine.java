package io.kbridge.plan;

import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import java.util.List;
import java.util.function.Predicate;

/**
 * Computes some nodes of a plan faster than the mapping of each op does: several nodes at once, or by another library. What an engine
 * declines is compiled by the mappings, so an engine needs to know no op it does not care for. One engine serves all plans of a model and
 * holds what they share. Thread safe.
 */
public interface Engine extends AutoCloseable {
  /** The engine that leaves every node to its mapping. */
  Engine NONE = () -> Session.NONE;

  /**
   * Starts on a plan.
   *
   * @return what compiles the plan's nodes; the plan closes it
   */
  Session start();

  /**
   * Tells whether plans of this engine may be run for a part of the samples at a time: whether a graph computes each sample of a batch by
   * itself, from operations that this engine has.
   *
   * @param graph the graph
   * @return true if so; samples are then the first axis of all inputs and outputs
   */
  default boolean keepsSamplesApart(ModelGraph graph) {
    return false;
  }

  /**
   * Returns how many samples a core is to compute at a time, at most, where cores share out the samples of a batch: weights are read anew each time,
   * and arrays of many samples do not stay in the caches.
   *
   * @return the number; 4 was measured best on nets of images
   */
  default int samplesAtATime() {
    return 4;
  }

  /** Gives back what the plans share; no plan of this engine may run again. */
  @Override
  default void close() {}

  /** Thrown when a plan cannot be compiled in the way a session goes about it. */
  final class Unsuitable extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final transient GraphNode node;

    /**
     * Makes the signal.
     *
     * @param node what cannot be compiled
     */
    public Unsuitable(GraphNode node) {
      super(node.toString());
      this.node = node;
    }

    GraphNode node() {
      return node;
    }
  }

  /** One plan in the making; afterwards the owner of what the plan's steps hold. Not thread safe. */
  interface Session extends AutoCloseable {
    /** The session of {@link Engine#NONE}. */
    Session NONE = context -> null;

    /**
     * Puts nodes together that may be computed as one. Each new node reads what its members read from others and gives what the last member
     * gives; it stands where the last member stood.
     *
     * @param nodes the nodes of the plan, in the order they run
     * @param constant tells which values are the same in every call
     * @param visible tells which values have to exist in memory by themselves
     * @return the nodes to compile
     */
    default List<GraphNode> group(List<GraphNode> nodes, Predicate<String> constant, Predicate<String> visible) {
      return nodes;
    }

    /**
     * Takes apart what {@link #group} put together, when {@link #lower} declined it.
     *
     * @param node a node of the plan
     * @return at least two nodes to compile in its place, or the node itself if it is one of the graph
     */
    default List<GraphNode> split(GraphNode node) {
      return List.of(node);
    }

    /**
     * Names what {@link #group} put together.
     *
     * @param node a node of the plan
     * @return the nodes it is made of, in the order they run; the node itself if it is one of the graph
     */
    default List<GraphNode> members(GraphNode node) {
      return List.of(node);
    }

    /**
     * Finds a way to compute a node.
     *
     * @param context the node, which must be looked at only: nothing may be allocated before the result is called
     * @return what compiles it, or null to decline
     */
    OpMapping lower(OpContext context);

    /**
     * Starts on the same plan in another way that may be faster, when the plan has been compiled in this way. Whoever compiles may run both
     * and keep the faster one; a plan that is compiled in the other way may also turn out to be impossible ({@link Unsuitable}).
     *
     * @return the session for the other way, or null if there is none
     */
    default Session alternative() {
      return null;
    }

    /**
     * Starts on the same plan anew, when a node was {@link Unsuitable}.
     *
     * @param node the node
     * @return a session that goes about this node in another way, or null if there is none
     */
    default Session without(GraphNode node) {
      return null;
    }

    /**
     * Gets the plan ready for runs that only tell how long they take: what they give may be anything. Both plans that are compared have been
     * compiled.
     *
     * @param alike whether the other plan is compiled for the same samples and threads, so that what both read in the same way may take no time
     */
    default void rehearse(boolean alike) {}

    /** Gets the plan ready to be used: does what would have been in vain if the other way is faster. */
    default void complete() {}

    /** Notes that this way is the one to start with from now on. */
    default void prefer() {}

    /** Gives back what the plan's steps hold; they must not run again. */
    @Override
    default void close() {}
  }
}
