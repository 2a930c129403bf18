package io.kbridge.plan.onednn;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.fuse.Chain;
import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A chain to be computed, with the shapes at hand. */
final class Site {
  private final OpContext context;
  private final Chain chain;
  private final OneDnnSession session;

  Site(OpContext context, Chain chain, OneDnnSession session) {
    this.context = context;
    this.chain = chain;
    this.session = session;
  }

  OpContext context() {
    return context;
  }

  Chain chain() {
    return chain;
  }

  /** Returns the name of what the chain gives. */
  String result() {
    return context.node().outputs().get(0).name();
  }

  /** Tells whether a value's channels are in blocks. */
  boolean isBlocked(String value) {
    return session.isBlocked(value);
  }

  GraphNode head() {
    return chain.head();
  }

  OneDnnSession session() {
    return session;
  }

  Weights.Use weights() {
    return session.weights();
  }

  /** Returns an array that the chain reads, or null if it is absent. */
  INDArray array(String value) {
    int at = at(value);
    return at >= 0 && context.hasInput(at) ? context.input(at) : null;
  }

  /** Returns one of the head's inputs, or null if it is absent or computed by the chain's padding. */
  INDArray input(int i) {
    return i < head().inputs().size() && head().inputs().get(i) != null ? array(head().inputs().get(i)) : null;
  }

  /** Tells whether the head has an input at a place. */
  boolean hasInput(int i) {
    return input(i) != null;
  }

  /** Tells whether a value is the same in every call. */
  boolean isConstant(String value) {
    int at = at(value);
    return at >= 0 && context.hasInput(at) && context.isConstant(at);
  }

  /** Tells whether one of the head's inputs is the same in every call. */
  boolean isConstant(int i) {
    return hasInput(i) && isConstant(head().inputs().get(i));
  }

  /** Tells whether one of the head's inputs, a constant, has finite numbers only. */
  boolean isFinite(int i) {
    return weights().isFinite(head().inputs().get(i), input(i));
  }

  /** Tells whether nothing reads a value's memory after this chain. */
  boolean isLastUse(String value) {
    return !isConstant(value) && context.isLastUse(at(value));
  }

  /** Tells whether everything that the chain reads and gives is float32, with at least one element. */
  boolean isFloat() {
    for (int i = 0; i < context.inputCount(); i++) {
      if (context.hasInput(i) && !OneDnn.isFloat(context.input(i))) {
        return false;
      }
    }
    return context.outputType(0) == org.nd4j.linalg.api.buffer.DataType.FLOAT;
  }

  /** Returns a name for what the first links have made of the head's weights. */
  String key(int links) {
    List<GraphNode> done = chain.links().subList(0, links);
    return head().name() + (done.isEmpty() ? "" : " to " + done.get(links - 1).name());
  }

  private int at(String value) {
    return context.node().inputs().indexOf(value);
  }
}
