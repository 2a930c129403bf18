package io.kbridge.plan.nd4j;

import io.kbridge.KBridgeException;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.api.ops.Op;
import org.nd4j.linalg.api.ops.executioner.OpExecutioner;
import org.nd4j.linalg.api.ops.impl.scalar.RectifiedLinear;
import org.nd4j.linalg.api.ops.impl.transforms.same.Negative;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Collects the ND4J calls that compute one node, and makes one step of them. Every call's arrays and arguments are bound here,
 * while the plan is compiled; the step only executes. Calls that would write no element are left out, because several ND4J
 * operations refuse empty arrays.
 */
final class Kernel {
  private final OpContext context;
  private final OpExecutioner executioner = Nd4j.getExecutioner();
  private final List<Step> steps = new ArrayList<>();

  /**
   * Starts a kernel.
   *
   * @param context the node it computes
   */
  Kernel(OpContext context) {
    this.context = context;
  }

  /**
   * Returns an input, cast to a type if it has another one.
   *
   * @param i the input
   * @param type the type wanted
   * @return the input, or a scratch array that holds it when the step runs
   */
  INDArray input(int i, DataType type) {
    return as(context.input(i), type);
  }

  /**
   * Returns an array as another type.
   *
   * @param x an array
   * @param type the type wanted
   * @return the array itself, or a scratch array that holds it when the step runs
   */
  INDArray as(INDArray x, DataType type) {
    if (x.dataType() == type) {
      return x;
    }
    INDArray z = scratch(type, x.shape());
    cast(x, z);
    return z;
  }

  /**
   * Gives temporary memory.
   *
   * @param type its element type
   * @param shape its shape
   * @return the array
   */
  INDArray scratch(DataType type, long... shape) {
    return context.scratch(type, shape);
  }

  /**
   * Gives temporary memory of an array's type and shape.
   *
   * @param like the array
   * @return the temporary
   */
  INDArray scratchLike(INDArray like) {
    return context.scratch(like.dataType(), like.shape());
  }

  /**
   * Returns the type to compute sums of products in. Half precision is computed in float32 and rounded once, as Keras's backends
   * do; ND4J's own half-precision sums lose digits, and its {@code depthwise_conv2d} of bfloat16 reads memory that is not its own.
   *
   * @param type the type of the operands
   * @return float32 for half precision, otherwise the type itself
   */
  static DataType precise(DataType type) {
    return type == DataType.FLOAT16 || type == DataType.BFLOAT16 ? DataType.FLOAT : type;
  }

  /**
   * Gives the array to compute an output in.
   *
   * @param z the output
   * @param type the type to compute in
   * @return the output itself, or a scratch array of the type, to be given to {@link #round}
   */
  INDArray computed(INDArray z, DataType type) {
    return z.dataType() == type ? z : scratch(type, z.shape());
  }

  /**
   * Brings what was computed in another type into the output.
   *
   * @param found what {@link #computed} gave
   * @param z the output
   * @return this
   */
  Kernel round(INDArray found, INDArray z) {
    return found == z ? this : cast(found, z);
  }

  /**
   * Makes a scalar that lives as long as the step.
   *
   * @param type its element type
   * @param value its value
   * @return the scalar
   */
  INDArray scalar(DataType type, double value) {
    return Nd4j.scalar(type, value);
  }

  /**
   * Starts a call of a native operation by name.
   *
   * @param name ND4J's name of it
   * @return the call, to be finished with {@link Call#add}
   */
  Call op(String name) {
    return new Call(name);
  }

  /**
   * Adds an operation of the older, typed kind.
   *
   * @param legacy the operation, its input and output set
   * @return this
   */
  Kernel legacy(Op legacy) {
    if (legacy.z().length() > 0) {
      steps.add(new Nd4jStep(legacy.opName(), () -> executioner.exec(legacy)));
    }
    return this;
  }

  /**
   * Adds {@code z = op(x, y)} for an operation of two inputs that broadcasts.
   *
   * @param name ND4J's name of it
   * @param x first operand
   * @param y second operand
   * @param z result
   * @return this
   */
  Kernel binary(String name, INDArray x, INDArray y, INDArray z) {
    // NB: for one element in two axes and a vector, ND4J makes a result of its own, and ends the process as it copies that.
    INDArray second = x.length() == 1 && y.rank() < z.rank() ? Views.broadcast(y, z.shape()) : y;
    return op(name).in(x, second).out(z).add();
  }

  /**
   * Adds {@code z = op(x, scalar)}.
   *
   * @param name ND4J's name of the operation
   * @param x first operand
   * @param scalar second operand, taken as x's type
   * @param z result
   * @return this
   */
  Kernel binary(String name, INDArray x, double scalar, INDArray z) {
    return binary(name, x, scalar(x.dataType(), scalar), z);
  }

  /**
   * Adds {@code z = max(x, scalar)}, a NaN staying NaN, for floating-point arrays. ND4J's scalar {@code relu} is that for any
   * scalar; its {@code maximum} drops NaN, and takes 80 times longer with a scalar.
   *
   * @param x the array
   * @param scalar the least value
   * @param z result; may be x
   * @return this
   */
  Kernel atLeast(INDArray x, double scalar, INDArray z) {
    return legacy(new RectifiedLinear(x, z, scalar));
  }

  /**
   * Adds {@code z = min(x, scalar)}, a NaN staying NaN, for floating-point arrays.
   *
   * @param x the array
   * @param scalar the largest value
   * @param z result; may be x
   * @return this
   */
  Kernel atMost(INDArray x, double scalar, INDArray z) {
    return legacy(new Negative(x, z)).atLeast(z, -scalar, z).legacy(new Negative(z, z));
  }

  /**
   * Adds a copy. Either side may be any strided view. ND4J's {@code identity} is used: {@code assign} takes 7 to 16 times longer.
   *
   * @param from what is copied
   * @param to where to, of the same type and shape
   * @return this
   */
  Kernel copy(INDArray from, INDArray to) {
    return op("identity").in(from).out(to).add();
  }

  /**
   * Adds a cast.
   *
   * @param from what is cast
   * @param to where to; its type is the one cast to
   * @return this
   */
  Kernel cast(INDArray from, INDArray to) {
    return op("cast").in(from).out(to).ints(to.dataType().toInt()).add();
  }

  /**
   * Adds a broadcast.
   *
   * @param from what is repeated
   * @param to where to
   * @return this
   */
  Kernel broadcast(INDArray from, INDArray to) {
    if (Arrays.equals(from.shape(), to.shape())) {
      return copy(from, to);
    }
    return copy(Views.broadcast(from, to.shape()), to);
  }

  /**
   * Adds a fill with one value.
   *
   * @param to what is filled; any strided view
   * @param value the value
   * @return this
   */
  Kernel fill(INDArray to, double value) {
    return broadcast(scalar(to.dataType(), value), to);
  }

  /**
   * Adds a reduction over axes.
   *
   * @param name ND4J's name of it
   * @param x what is reduced
   * @param z the result, with or without the reduced axes
   * @param axes the axes, not negative, at least one
   * @return this
   */
  Kernel reduce(String name, INDArray x, INDArray z, long... axes) {
    return op(name).in(x).out(z).ints(axes).flags(z.rank() == x.rank()).add();
  }

  /**
   * Adds any other step.
   *
   * @param step the step; null adds nothing
   * @return this
   */
  Kernel then(Step step) {
    if (step != null) {
      steps.add(step);
    }
    return this;
  }

  /**
   * Makes one step of all calls.
   *
   * @return the step
   */
  Step step() {
    return steps.size() == 1 ? steps.get(0) : Nd4jStep.all(steps);
  }

  /**
   * Makes the error for what this node asks and ND4J cannot do right.
   *
   * @param expected what can be done
   * @param received what was met
   * @return the error, for the caller to throw
   */
  KBridgeException unsupported(String expected, Object received) {
    return unsupported(context, expected, received);
  }

  /**
   * Makes the error for what a node asks and ND4J cannot do right.
   *
   * @param context the node
   * @param expected what can be done
   * @param received what was met
   * @return the error, for the caller to throw
   */
  static KBridgeException unsupported(OpContext context, String expected, Object received) {
    return context.unsupported(
        expected, String.valueOf(received), "Change the layer so that it needs no such operation, or run this part in Keras.");
  }

  /** One call of a native operation: arrays and arguments by kind, in the operation's order. */
  final class Call {
    private final String name;
    private INDArray[] inputs = {};
    private INDArray[] outputs = {};
    private long[] ints = {};
    private double[] floats = {};
    private boolean[] flags = {};
    private boolean plain;

    private Call(String name) {
      this.name = name;
    }

    /**
     * Sets the inputs.
     *
     * @param arrays the inputs; any strided views
     * @return this
     */
    Call in(INDArray... arrays) {
      inputs = arrays;
      return this;
    }

    /**
     * Sets the outputs.
     *
     * @param arrays the outputs; written in place
     * @return this
     */
    Call out(INDArray... arrays) {
      outputs = arrays;
      return this;
    }

    /**
     * Sets the integer arguments.
     *
     * @param values the arguments
     * @return this
     */
    Call ints(long... values) {
      ints = values;
      return this;
    }

    /**
     * Sets the floating-point arguments.
     *
     * @param values the arguments
     * @return this
     */
    Call floats(double... values) {
      floats = values;
      return this;
    }

    /**
     * Sets the boolean arguments.
     *
     * @param values the arguments
     * @return this
     */
    Call flags(boolean... values) {
      flags = values;
      return this;
    }

    /**
     * Keeps the call off the accelerated implementations (oneDNN, cuDNN), where those are known to fail.
     *
     * @param given whether to
     * @return this
     */
    Call plain(boolean given) {
      plain = given;
      return this;
    }

    /**
     * Adds the call to the kernel. A prepared native context is executed: it costs 1 to 4 us a call, where
     * {@code Nd4j.exec} of a prepared operation costs 10 us.
     *
     * @return the kernel
     */
    Kernel add() {
      if (outputs[0].length() == 0) {
        return Kernel.this;
      }
      DynamicCustomOp handle = DynamicCustomOp.builder(name).build();
      org.nd4j.linalg.api.ops.OpContext bound = executioner.buildContext();
      bound.setInputArrays(inputs);
      bound.setOutputArrays(outputs);
      bound.setIArguments(ints);
      bound.setTArguments(floats);
      bound.setBArguments(flags);
      if (plain) {
        bound.allowHelpers(false);
      }
      // The outputs have their shapes: without this, ND4J works the shapes out again at every call.
      bound.shapeFunctionOverride(true);
      steps.add(new Nd4jStep(name, () -> executioner.exec(handle, bound)));
      return Kernel.this;
    }
  }
}
