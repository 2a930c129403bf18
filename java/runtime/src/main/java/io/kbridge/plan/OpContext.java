package io.kbridge.plan;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.GraphNode;
import java.util.List;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * What a mapping sees of its node while a plan is compiled. Inputs are arrays at a fixed place in memory, contiguous, in 'c'
 * order, with their final shapes; their CONTENT is valid only when the step runs, unless {@link #isConstant} says otherwise.
 * Inputs must never be written to.
 */
public interface OpContext {
  /**
   * Returns the node being compiled.
   *
   * @return the node
   */
  GraphNode node();

  /**
   * Returns the node's attributes.
   *
   * @return the attributes
   */
  Attributes attrs();

  /**
   * Returns how many inputs the node lists, absent ones included (trailing absent ones are not listed).
   *
   * @return the count
   */
  int inputCount();

  /**
   * Tells whether an optional input is there.
   *
   * @param i the input
   * @return false if it is null or past the end of the list
   */
  boolean hasInput(int i);

  /**
   * Returns an input.
   *
   * @param i the input
   * @return its array
   */
  INDArray input(int i);

  /**
   * Tells whether an input is a weight, a constant or computed from those alone: its content may be read while compiling.
   *
   * @param i the input
   * @return true if its content is final
   */
  boolean isConstant(int i);

  /**
   * Tells whether an input's memory may be written: nothing reads it after this node. An output that is an alias of it then may be
   * computed in place.
   *
   * @param i the input
   * @return true if so
   */
  boolean isLastUse(int i);

  /**
   * Gives memory for an output, of the type the node's spec declares. Its content is undefined until the step has run, and
   * undefined again each time before the step runs.
   *
   * @param output the output
   * @param shape its shape; must fit the one the spec declares
   * @return its array, contiguous, 'c' order
   */
  INDArray allocate(int output, long... shape);

  /**
   * Declares an output to be a view of an input: no step is needed, the two share memory.
   *
   * @param output the output
   * @param view a contiguous 'c' order view (a reshape) of one input
   */
  void alias(int output, INDArray view);

  /**
   * Gives temporary memory for this step alone. Its content does not last from one run to the next.
   *
   * @param type its element type
   * @param shape its shape
   * @return its array, contiguous, 'c' order
   */
  INDArray scratch(DataType type, long... shape);

  /**
   * Gives temporary memory for one of the threads that share out this step. Other steps get the same for the same thread, so that it is in its caches.
   *
   * @param thread which of them
   * @param bytes how much at least
   * @return its array
   */
  INDArray scratchOf(int thread, long bytes);

  /**
   * Compiles one of the node's bodies. Its steps use memory of this node, which is held until the node's own step ends.
   *
   * @param index which of {@code node().bodies()}
   * @param inputs what each of the body's inputs is bound to: arrays that this context gave (outputs or scratch)
   * @param offers for the first outputs of the body, arrays of this context that they may be computed in; they may be among the inputs,
   *     and are used where nothing reads the input any more by then. {@link CompiledBody#output} tells where an output really is
   * @param loop whether the body runs repeatedly, so that what its inputs do not change is computed by {@link CompiledBody#prepare}
   * @return the body
   */
  CompiledBody body(int index, List<INDArray> inputs, List<INDArray> offers, boolean loop);

  /**
   * Reads a list of integers in which sizes may be known only at call time ({@code {"dims": ...}} objects).
   *
   * @param attr the attribute
   * @return its values for the shapes at hand
   */
  long[] dims(String attr);

  /**
   * Reads one integer that may be a size known only at call time.
   *
   * @param attr the attribute
   * @return its value for the shapes at hand
   */
  long dim(String attr);

  /**
   * Resolves one integer or {@code {"dims": ...}} object found inside a nested attribute.
   *
   * @param value the JSON
   * @return its value for the shapes at hand
   */
  long resolve(JsonNode value);

  /**
   * Returns the element type the spec declares for an output.
   *
   * @param output the output
   * @return its type
   */
  default DataType outputType(int output) {
    return node().outputs().get(output).dtype();
  }

  /**
   * Makes the error for what a mapping cannot compute exactly.
   *
   * @param expected what the mapping can do
   * @param received what it met
   * @param remedy what the user can do
   * @return the error, for the caller to throw
   */
  default KBridgeException unsupported(String expected, String received, String remedy) {
    return new KBridgeException(
        ErrorCode.UNSUPPORTED_OP,
        "Expected " + expected + " at " + node() + ". Received: " + received + ". " + remedy);
  }
}
