package io.kbridge.plan.onednn;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Reads the body of a {@code Scan} as a recurrent cell: products of the sequence and of states with constant matrices, functions element by
 * element, and a mask for each sample. Keras's LSTM, GRU and SimpleRNN are of this kind, and cells of users may be.
 */
final class CellReader {
  private static final Object SEQUENCE = new Object();
  private static final Object MASK = new Object();
  private static final Map<String, Vectors.Unary> FUNCTIONS =
      Map.of("Sigmoid", Vectors.SIGMOID, "Tanh", Vectors.TANH, "Relu", Vectors.RELU, "HardSigmoid", Vectors.HARD_SIGMOID);
  private static final Map<String, Vectors.Binary> OPERATIONS =
      Map.of("Add", Vectors.ADD, "Subtract", Vectors.SUBTRACT, "Multiply", Vectors.MULTIPLY);
  private static final Map<String, Rule> RULES = new HashMap<>();

  static {
    RULES.put("Matmul", CellReader::matmul);
    RULES.put("Split", CellReader::split);
    RULES.put("GetItem", CellReader::columns);
    RULES.put("Squeeze", (reader, node) -> reader.pass(node, Matrix.class));
    RULES.put("ExpandDims", CellReader::expand);
    RULES.put("Where", CellReader::choose);
    RULES.put("Full", CellReader::full);
    Eltwise.names().forEach(op -> RULES.put(op, CellReader::function));
    OPERATIONS.keySet().forEach(op -> RULES.put(op, CellReader::combine));
  }

  private final GraphBody body;
  private final Function<String, INDArray> constants;
  private final Cell cell = new Cell();
  private final Map<String, Object> values = new HashMap<>();
  private final Map<String, Integer> readers = new HashMap<>();
  private final Map<Cell.Apply, GraphNode> functions = new HashMap<>();

  /** Reads a node; returns false if it cannot be part of a cell. */
  @FunctionalInterface
  private interface Rule {
    boolean read(CellReader reader, GraphNode node);
  }

  private CellReader(GraphBody body, Function<String, INDArray> constants) {
    this.body = body;
    this.constants = constants;
  }

  /**
   * Reads a cell.
   *
   * @param scan the node
   * @param constants gives the content of values that are the same in every call, or null
   * @return the cell, as there is machine code for it, or otherwise as there are loops; null if the node is none
   */
  static Cell read(GraphNode scan, Function<String, INDArray> constants) {
    CellReader reader = new CellReader(scan.bodies().get(0), constants);
    if (!reader.read(scan.attrs().getInt("num_xs"), scan.attrs().getInt("num_states"))) {
      return null;
    }
    return LaneCode.suits(reader.cell) || new CellFusion(reader.cell, reader.functions).run() ? reader.cell : null;
  }

  /** Tells whether there is a loop for a node's function. */
  static boolean hasLoop(GraphNode node) {
    return FUNCTIONS.containsKey(node.op());
  }

  private boolean read(int sequences, int states) {
    if (!readInputs(sequences)) {
      return false;
    }
    body.outputs().forEach(this::addReader);
    for (GraphNode node : body.nodes()) {
      node.inputs().stream().distinct().forEach(this::addReader);
    }
    for (GraphNode node : body.nodes()) {
      Rule rule = RULES.get(node.op());
      if (rule == null || node.inputs().contains(null) || !rule.read(this, node)) {
        return false;
      }
    }
    for (int i = 0; i < body.outputs().size(); i++) {
      Register result = register(body.outputs().get(i));
      if (result == null || i < states && (cell.states().contains(result) || result.width() != cell.states().get(i).width())) {
        return false;
      }
      (i < states ? cell.next() : cell.answers()).add(result);
    }
    return true;
  }

  private boolean readInputs(int sequences) {
    for (int i = 0; i < body.inputs().size(); i++) {
      ValueInfo input = body.inputs().get(i);
      long[] shape = input.shape();
      if (i == 1 && i < sequences) {
        if (shape.length != 1 || input.type() != ElementType.BOOL) {
          return false;
        }
        values.put(input.name(), MASK);
      } else if (shape.length != 2 || shape[1] < 1 || input.type() != ElementType.FLOAT32) {
        return false;
      } else if (i == 0 && sequences > 0) {
        values.put(input.name(), SEQUENCE);
      } else {
        Register state = new Register((int) shape[1]);
        cell.states().add(state);
        values.put(input.name(), state);
      }
    }
    return sequences == 1 || sequences == 2;
  }

  private void addReader(String value) {
    readers.merge(value, 1, Integer::sum);
  }

  private Object value(String name) {
    return values.computeIfAbsent(name, key -> constants.apply(key) == null ? null : Matrix.of(constants.apply(key)));
  }

  /** Lets a value be in a register from here on; null if it cannot be. */
  private Register register(String name) {
    Object value = value(name);
    if (value instanceof Sum) {
      value = compute((Sum) value);
      values.put(name, value);
    }
    return value instanceof Register ? (Register) value : null;
  }

  private Register compute(Sum sum) {
    Register result = new Register(sum.width());
    for (Cell.Statement statement : cell.statements()) {
      if (statement instanceof Cell.Multiply && ((Cell.Multiply) statement).products().suits(sum)) {
        ((Cell.Multiply) statement).products().add(sum, result);
        return result;
      }
    }
    Products products = new Products(sum.source(), sum.kernel() != null);
    products.add(sum, result);
    cell.statements().add(new Cell.Multiply(products));
    return result;
  }

  /** As {@link #register}, also for constants, which are repeated to a width. */
  private Register operand(String name, int width) {
    Object value = value(name);
    if (!(value instanceof Matrix)) {
      Register register = register(name);
      return register != null && register.width() == width ? register : null;
    }
    Matrix matrix = (Matrix) value;
    if (matrix.rows() != 1 || matrix.columns() != 1 && matrix.columns() != width || !matrix.isFinite()) {
      return null;
    }
    Register register = new Register(width);
    cell.constants().put(register, matrix.row(width));
    return register;
  }

  private static int width(GraphNode node) {
    long[] shape = node.outputs().get(0).shape();
    return shape.length == 2 && node.outputs().get(0).type() == ElementType.FLOAT32 ? (int) shape[1] : -1;
  }

  private boolean matmul(GraphNode node) {
    Object left = value(node.inputs().get(0));
    Object right = value(node.inputs().get(1));
    if (!(right instanceof Matrix) || width(node) != ((Matrix) right).columns() || !((Matrix) right).isFinite()) {
      return false;
    }
    Matrix matrix = (Matrix) right;
    Register source = left == SEQUENCE ? null : register(node.inputs().get(0));
    if (left != SEQUENCE && (source == null || source.width() != matrix.rows())) {
      return false;
    }
    Sum sum =
        source == null
            ? new Sum(matrix, null, null, null, matrix.columns())
            : new Sum(null, source, matrix, null, matrix.columns());
    values.put(node.outputs().get(0).name(), sum);
    return true;
  }

  private boolean split(GraphNode node) {
    Object value = value(node.inputs().get(0));
    JsonNode sections = node.attrs().json("indices_or_sections");
    int axis = node.attrs().getInt("axis", 0);
    if (!sections.isInt() || axis != 0 && axis != 1 || axis == 0 && !(value instanceof Matrix)) {
      return false;
    }
    for (int i = 0; i < sections.intValue(); i++) {
      Object part = part(value, axis, i, sections.intValue());
      if (part == null) {
        return false;
      }
      values.put(node.outputs().get(i).name(), part);
    }
    return true;
  }

  private static Object part(Object value, int axis, int i, int count) {
    if (value instanceof Sum) {
      int size = ((Sum) value).width() / count;
      return ((Sum) value).columns(i * size, (i + 1) * size);
    }
    if (!(value instanceof Matrix)) {
      return null;
    }
    Matrix matrix = (Matrix) value;
    int size = (axis == 0 ? matrix.rows() : matrix.columns()) / count;
    return axis == 0 ? matrix.rows(i * size, (i + 1) * size) : matrix.columns(i * size, (i + 1) * size);
  }

  /** {@code GetItem} of all rows and some columns. */
  private boolean columns(GraphNode node) {
    Object value = value(node.inputs().get(0));
    JsonNode key = node.attrs().json("key");
    boolean whole = value instanceof Sum || value instanceof Matrix;
    if (!whole || key.size() != 2 || !key.get(0).path("slice").toString().equals("[null,null,null]")) {
      return false;
    }
    int width = value instanceof Sum ? ((Sum) value).width() : ((Matrix) value).columns();
    JsonNode slice = key.get(1).path("slice");
    if (slice.size() != 3 || !slice.get(2).isNull()) {
      return false;
    }
    int from = slice.get(0).asInt(0);
    int to = slice.get(1).asInt(width);
    if (from < 0 || to > width || to <= from) {
      return false;
    }
    Object part = value instanceof Sum ? ((Sum) value).columns(from, to) : ((Matrix) value).columns(from, to);
    values.put(node.outputs().get(0).name(), part);
    return true;
  }

  private boolean pass(GraphNode node, Class<?> kind) {
    Object value = value(node.inputs().get(0));
    values.put(node.outputs().get(0).name(), value);
    return kind.isInstance(value) && node.outputs().get(0).shape().length <= 2;
  }

  /** {@code ExpandDims} of the mask, for {@code Where}. */
  private boolean expand(GraphNode node) {
    values.put(node.outputs().get(0).name(), MASK);
    return value(node.inputs().get(0)) == MASK && node.attrs().json("axis").toString().equals("[1]");
  }

  private boolean full(GraphNode node) {
    Object value = value(node.inputs().get(0));
    values.put(node.outputs().get(0).name(), value);
    return value instanceof Matrix && ((Matrix) value).columns() == 1 && width(node) > 0;
  }

  private boolean choose(GraphNode node) {
    int width = width(node);
    if (node.inputs().size() != 3 || value(node.inputs().get(0)) != MASK) {
      return false;
    }
    Register x = operand(node.inputs().get(1), width);
    Register y = operand(node.inputs().get(2), width);
    return x != null && y != null && put(node, z -> new Cell.Choose(x, y, z));
  }

  private boolean function(GraphNode node) {
    Register x = node.inputs().size() == 1 ? operand(node.inputs().get(0), width(node)) : null;
    if (x == null) {
      return false;
    }
    return put(
        node,
        z -> {
          Cell.Apply apply = new Cell.Apply(FUNCTIONS.get(node.op()), x, z);
          functions.put(apply, node);
          return apply;
        });
  }

  private boolean combine(GraphNode node) {
    if (node.op().equals("Add") && addUp(node)) {
      return true;
    }
    Register x = operand(node.inputs().get(0), width(node));
    Register y = operand(node.inputs().get(1), width(node));
    return x != null && y != null && put(node, z -> new Cell.Combine(OPERATIONS.get(node.op()), x, y, z));
  }

  /** Adds to a sum that is not computed yet, if nothing else reads it. */
  private boolean addUp(GraphNode node) {
    List<Object> operands = new ArrayList<>();
    for (String input : node.inputs()) {
      Object value = value(input);
      operands.add(value instanceof Sum && readers.get(input) > 1 ? null : value);
    }
    int at = operands.get(0) instanceof Sum ? 0 : 1;
    Object other = operands.get(1 - at);
    if (!(operands.get(at) instanceof Sum)) {
      return false;
    }
    Sum sum = (Sum) operands.get(at);
    Sum result = null;
    if (other instanceof Sum) {
      result = sum.plus((Sum) other);
    } else if (other instanceof Matrix && ((Matrix) other).rows() == 1 && ((Matrix) other).isFinite()) {
      Matrix row = (Matrix) other;
      result = row.columns() == 1 || row.columns() == sum.width() ? sum.plus(row.row(sum.width())) : null;
    }
    values.put(node.outputs().get(0).name(), result);
    return result != null && result.width() == width(node);
  }

  private boolean put(GraphNode node, Function<Register, Cell.Statement> maker) {
    Register z = new Register(width(node));
    cell.statements().add(maker.apply(z));
    values.put(node.outputs().get(0).name(), z);
    return true;
  }
}
