package io.kbridge.plan;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.Dims;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** One node being compiled. Checks everything a mapping says about its outputs. */
final class NodeContext implements OpContext {
  private final GraphNode node;
  private final Map<String, Value> values;
  private final Arena arena;
  private final Bodies bodies;
  private final Map<String, Place> places;
  private final boolean constant;
  private final Predicate<String> lastReader;
  private final Value[] outputs;
  private final List<Arena.Block> scratch = new ArrayList<>();
  private final List<GraphCompiler> compiled = new ArrayList<>();
  private final Map<INDArray, Arena.Block> own = new IdentityHashMap<>();

  /** Starts on a body of the node. */
  @FunctionalInterface
  interface Bodies {
    GraphCompiler inner(GraphBody body);
  }

  /**
   * Starts on a node.
   *
   * @param node the node
   * @param values everything compiled before it; an absent optional input is missing
   * @param arena where outputs and temporaries are placed
   * @param bodies compiles the node's bodies
   * @param places memory offered for values, by name
   * @param constant whether the outputs will be constant
   * @param lastReader tells whether nothing else has still to read a value
   */
  NodeContext(
      GraphNode node,
      Map<String, Value> values,
      Arena arena,
      Bodies bodies,
      Map<String, Place> places,
      boolean constant,
      Predicate<String> lastReader) {
    this.node = node;
    this.values = values;
    this.arena = arena;
    this.bodies = bodies;
    this.places = places;
    this.constant = constant;
    this.lastReader = lastReader;
    this.outputs = new Value[node.outputs().size()];
  }

  /** Asks an engine for the node; returns null if it declines. */
  OpMapping lower(Engine.Session session) {
    try {
      return session.lower(this);
    } catch (KBridgeException | Engine.Unsuitable e) {
      throw e;
    } catch (RuntimeException e) {
      throw failed("to compile", e);
    }
  }

  /** Compiles the node; returns null if there is nothing to run. */
  Step compile(OpMapping mapping) {
    Step step;
    try {
      step = mapping.compile(this);
    } catch (KBridgeException e) {
      throw e;
    } catch (RuntimeException e) {
      throw failed("to compile", e);
    }
    boolean empty = true;
    for (int i = 0; i < outputs.length; i++) {
      if (outputs[i] == null) {
        throw fault("every output to be allocated or aliased", "nothing for output " + i);
      }
      empty &= outputs[i].array().isEmpty();
    }
    compiled.forEach(GraphCompiler::release);
    scratch.forEach(Arena.Block::release);
    // NB: with no element to compute there is nothing to run, and ND4J's ops do not all bear empty arrays.
    return empty ? null : step;
  }

  Value output(int i) {
    return outputs[i];
  }

  /** Makes the error for a step or mapping that failed. */
  KBridgeException failed(String what, RuntimeException cause) {
    return new KBridgeException(
        ErrorCode.INTERNAL, "Expected " + node + " " + what + ". Received: " + cause + " with " + shapes()
            + ". This is a fault of kbridge: please report it with the model's config.", cause);
  }

  @Override
  public GraphNode node() {
    return node;
  }

  @Override
  public Attributes attrs() {
    return node.attrs();
  }

  @Override
  public int inputCount() {
    return node.inputs().size();
  }

  @Override
  public boolean hasInput(int i) {
    return i < node.inputs().size() && node.inputs().get(i) != null && values.containsKey(node.inputs().get(i));
  }

  @Override
  public INDArray input(int i) {
    return inputValue(i).array();
  }

  @Override
  public boolean isConstant(int i) {
    return inputValue(i).constant();
  }

  @Override
  public boolean isLastUse(int i) {
    return inputValue(i).isSole() && lastReader.test(node.inputs().get(i));
  }

  @Override
  public INDArray allocate(int output, long... shape) {
    ValueInfo info = declared(output, shape);
    Place place = places.get(info.name());
    if (isEmpty(shape)) {
      outputs[output] = new Value(NativeArrays.empty(info.dtype(), shape), null, constant);
    } else if (place != null && place.suits(info.dtype(), shape)) {
      outputs[output] = place.take(constant);
    } else {
      Arena.Block block = arena.allocate(bytes(info.dtype(), shape));
      INDArray array = arena.array(block, info.dtype(), shape);
      outputs[output] = new Value(array, block, constant);
      own.put(array, block);
    }
    return outputs[output].array();
  }

  @Override
  public void alias(int output, INDArray view) {
    ValueInfo info = declared(output, view.shape());
    if (view.dataType() != info.dtype()) {
      throw fault("a view of type " + info.dtype() + " for output " + output, view.dataType().toString());
    }
    if (!view.isEmpty() && !NativeArrays.isDense(view)) {
      throw fault("a dense 'c' order view for output " + output, "strides " + Arrays.toString(view.stride()));
    }
    outputs[output] = owner(view).view(view);
  }

  @Override
  public INDArray scratch(DataType type, long... shape) {
    if (isEmpty(shape)) {
      return NativeArrays.empty(type, shape);
    }
    Arena.Block block = arena.allocate(bytes(type, shape));
    scratch.add(block);
    INDArray array = arena.array(block, type, shape);
    own.put(array, block);
    return array;
  }

  @Override
  public INDArray scratchOf(int thread, long bytes) {
    Arena.Block block = arena.ofThread(thread, bytes);
    return arena.array(block, DataType.INT8, block.bytes());
  }

  @Override
  public CompiledBody body(int index, List<INDArray> inputs, List<INDArray> offers, boolean loop) {
    GraphBody body = node.bodies().get(index);
    GraphCompiler compiler = bodies.inner(body);
    compiled.add(compiler);
    boolean[] read = new boolean[inputs.size()];
    List<String> names = new ArrayList<>();
    for (int i = 0; i < read.length; i++) {
      ValueInfo info = body.inputs().get(i);
      names.add(info.name());
      read[i] = compiler.isRead(info.name());
      compiler.input(info.name(), shared(info, inputs.get(i), read[i]));
    }
    for (int i = 0; i < offers.size(); i++) {
      // NB: an empty array has no memory to offer.
      if (own.containsKey(offers.get(i))) {
        compiler.offer(body.outputs().get(i), new Place(offers.get(i), own.get(offers.get(i))));
      }
    }
    StepList[] steps =
        loop ? compiler.compileParts(names) : new StepList[] {StepList.EMPTY, compiler.compile()};
    List<INDArray> results = new ArrayList<>();
    body.outputs().forEach(name -> results.add(compiler.value(name).array()));
    return new CompiledBody(steps[0], steps[1], results, read, compiler.bytes());
  }

  /** Lets a body see memory of this node as one of its inputs. */
  private Value shared(ValueInfo info, INDArray array, boolean read) {
    if (array.dataType() != info.dtype() || !info.accepts(array.shape())) {
      throw new KBridgeException(
          ErrorCode.BUNDLE_FORMAT,
          "Expected " + info + " for the body of " + node + ". Received: " + describe(array) + ". Export the model again.");
    }
    Arena.Block block = own.get(array);
    return block == null || !read ? new Value(array, null, false) : new Place(array, block).take(false);
  }

  @Override
  public long[] dims(String attr) {
    JsonNode list = attrs().json(attr);
    if (!list.isArray()) {
      throw attrs().wrong(attr, "a list of integers");
    }
    long[] sizes = new long[list.size()];
    for (int i = 0; i < sizes.length; i++) {
      sizes[i] = resolve(list.get(i));
    }
    return sizes;
  }

  @Override
  public long dim(String attr) {
    return resolve(attrs().json(attr));
  }

  @Override
  public long resolve(JsonNode value) {
    if (value.isIntegralNumber() && value.canConvertToLong()) {
      return value.longValue();
    }
    if (Dims.is(value)) {
      try {
        return Dims.resolve(value, this::shapeOf);
      } catch (IllegalArgumentException | ArithmeticException e) {
        throw badSize(value, e);
      }
    }
    throw badSize(value, null);
  }

  private KBridgeException badSize(JsonNode value, RuntimeException cause) {
    return new KBridgeException(
        ErrorCode.BUNDLE_FORMAT,
        "Expected an integer or a {\"dims\": ...} object in the attributes of " + node + ". Received: " + value
            + (cause == null ? "" : " (" + cause.getMessage() + ")") + ". Export the model again.",
        cause);
  }

  private long[] shapeOf(String value) {
    if (!values.containsKey(value)) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected '" + value + "', whose shape " + node + " depends on. Received: nothing. Give this optional input.");
    }
    return values.get(value).array().shape();
  }

  private Value inputValue(int i) {
    if (!hasInput(i)) {
      String name = i < node.inputs().size() ? node.inputs().get(i) : null;
      throw new KBridgeException(
          name == null ? ErrorCode.BUNDLE_FORMAT : ErrorCode.INVALID_INPUT,
          "Expected input " + i + " at " + node + ". Received: nothing"
              + (name == null ? ". Export the model again." : " for '" + name + "'. Give this optional input."));
    }
    return values.get(node.inputs().get(i));
  }

  /** Finds which input an array is a view of. */
  private Value owner(INDArray view) {
    for (int i = 0; i < inputCount(); i++) {
      if (hasInput(i) && NativeArrays.isWithin(view, input(i))) {
        return inputValue(i);
      }
    }
    throw fault("a view of one of the inputs", "an array with memory of its own");
  }

  private ValueInfo declared(int output, long[] shape) {
    ValueInfo info = node.outputs().get(output);
    if (outputs[output] != null) {
      throw fault("output " + output + " to be given once", "a second array for it");
    }
    if (!info.accepts(shape)) {
      throw fault("output " + info, Arrays.toString(shape));
    }
    return info;
  }

  private KBridgeException fault(String expected, String received) {
    return new KBridgeException(
        ErrorCode.INTERNAL,
        "Expected " + expected + " of the mapping for " + node + ". Received: " + received + " with " + shapes()
            + ". This is a fault of kbridge: please report it with the model's config.");
  }

  private String shapes() {
    StringBuilder text = new StringBuilder("input shapes (");
    for (int i = 0; i < inputCount(); i++) {
      text.append(i == 0 ? "" : ", ").append(hasInput(i) ? describe(input(i)) : "none");
    }
    text.append(") and output shapes (");
    for (int i = 0; i < outputs.length; i++) {
      text.append(i == 0 ? "" : ", ").append(outputs[i] == null ? "none" : describe(outputs[i].array()));
    }
    return text.append(")").toString();
  }

  private static String describe(INDArray array) {
    return ElementType.of(array.dataType()).kerasName() + Arrays.toString(array.shape());
  }

  private static boolean isEmpty(long[] shape) {
    return Arrays.stream(shape).anyMatch(size -> size == 0);
  }

  private static long bytes(DataType type, long[] shape) {
    return Math.multiplyExact(NativeArrays.length(shape), (long) type.width());
  }
}
