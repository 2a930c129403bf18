package io.kbridge.train.gradient;

import io.kbridge.graph.Attributes;
import io.kbridge.graph.GraphNode;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** One node that gradients go back through. */
public final class GradientContext {
  private final Backward backward;
  private final GraphNode node;

  GradientContext(Backward backward, GraphNode node) {
    this.backward = backward;
    this.node = node;
  }

  /**
   * Returns what writes the gradients.
   *
   * @return the writer of the graph the node is in
   */
  public Emitter e() {
    return backward.emitter();
  }

  /**
   * Returns the node.
   *
   * @return the node
   */
  public GraphNode node() {
    return node;
  }

  /**
   * Returns the node's attributes.
   *
   * @return the attributes; none depends on an open size
   */
  public Attributes attrs() {
    return node.attrs();
  }

  /**
   * Tells whether an optional input is there.
   *
   * @param i the input
   * @return true if so
   */
  public boolean hasInput(int i) {
    return i < node.inputs().size() && node.inputs().get(i) != null;
  }

  /**
   * Returns how many inputs there are.
   *
   * @return the count, with absent ones in between
   */
  public int inputCount() {
    return node.inputs().size();
  }

  /**
   * Returns an input.
   *
   * @param i the input
   * @return its value in the forward pass
   */
  public Sym input(int i) {
    return backward.value(node.inputs().get(i));
  }

  /**
   * Finds what gives an input.
   *
   * @param i the input
   * @return the node, or null if the graph is given the value
   */
  public GraphNode maker(int i) {
    String name = node.inputs().get(i);
    return e().nodes().stream()
        .filter(other -> other.outputs().stream().anyMatch(output -> output.name().equals(name)))
        .findFirst()
        .orElse(null);
  }

  /**
   * Returns an input as the op computes with it.
   *
   * @param i the input
   * @return the input with the type of the first output
   */
  public Sym typedInput(int i) {
    return e().cast(input(i), output(0).type());
  }

  /**
   * Returns an output.
   *
   * @param i the output
   * @return its value in the forward pass
   */
  public Sym output(int i) {
    return backward.value(node.outputs().get(i).name());
  }

  /**
   * Tells whether an output has a gradient.
   *
   * @param i the output
   * @return false if nothing that counts depends on it
   */
  public boolean hasGradient(int i) {
    return backward.gradientOf(node.outputs().get(i).name()) != null;
  }

  /**
   * Returns the gradient of an output.
   *
   * @param i the output
   * @return the gradient; zeros if nothing that counts depends on the output
   */
  public Sym gradient(int i) {
    Sym output = output(i);
    Sym found = backward.gradientOf(output.name());
    return found != null ? found : e().full(output.type(), 0, output.shape());
  }

  /**
   * Tells whether anybody wants the gradient of an input.
   *
   * @param i the input
   * @return true if so
   */
  public boolean wants(int i) {
    return hasInput(i) && backward.isActive(node.inputs().get(i));
  }

  /**
   * Gives a gradient to an input, in addition to those it has from others. Nothing happens if nobody wants it.
   *
   * @param i the input
   * @param gradient the gradient, of the input's shape; it is cast to its type
   */
  public void give(int i, Sym gradient) {
    if (wants(i)) {
      Sym input = input(i);
      if (!Arrays.equals(input.shape(), gradient.shape())) {
        throw new IllegalStateException("Expected a gradient like " + input + " of " + node + ". Received: " + gradient + ".");
      }
      backward.addTo(input.name(), e().cast(gradient, input.type()));
    }
  }

  /**
   * Gives a gradient to an input that the op reads rows of.
   *
   * @param i the input, of any rank; its rows are along the first axis
   * @param numbers which rows
   * @param content their gradients, a matrix
   * @param sum the gradient of the whole input
   */
  void giveRows(int i, Sym numbers, Sym content, Sym sum) {
    if (wants(i)) {
      backward.addRows(node.inputs().get(i), numbers, content, sum);
    }
  }

  /**
   * Gives a gradient to an input that the op broadcasts.
   *
   * @param i the input
   * @param gradient the gradient, of a shape that the input broadcasts to
   */
  public void giveBroadcast(int i, Sym gradient) {
    if (wants(i)) {
      give(i, e().sumTo(e().broadcastTo(gradient, Emitter.broadcast(gradient, input(i))), input(i).shape()));
    }
  }

  /**
   * Puts another node in this one's place, which gives the same values and perhaps more.
   *
   * @param by the other node
   */
  public void replaceNode(GraphNode by) {
    backward.replace(node, by);
  }

  /**
   * Sends the gradients back through a formula for the op.
   *
   * @param formula writes values equal to the op's outputs
   */
  public void through(Function<GradientContext, List<Sym>> formula) {
    int from = e().nodes().size();
    List<Sym> made = formula.apply(this);
    Map<String, Sym> seeds = new LinkedHashMap<>();
    for (int i = 0; i < made.size(); i++) {
      if (hasGradient(i)) {
        seeds.put(made.get(i).name(), gradient(i));
      }
    }
    Map<String, Sym> targets = new LinkedHashMap<>();
    for (int i = 0; i < inputCount(); i++) {
      if (wants(i)) {
        targets.put(node.inputs().get(i), input(i));
      }
    }
    Map<String, Sym> found = backward.part(from, seeds, targets);
    found.forEach(backward::addTo);
  }

  /**
   * Starts on a graph inside of this one.
   *
   * @param inner the writer of that graph, which has its forward nodes
   * @param inputs what is bound in it
   * @return what sends gradients back through it
   */
  public Backward inner(Emitter inner, List<Sym> inputs) {
    return backward.inner(inner, inputs);
  }
}
