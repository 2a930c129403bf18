package io.kbridge.plan.nd4j;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import java.util.stream.LongStream;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Parts of arrays: slices, padding, elements picked by index. */
public final class Indexing implements OpMappings {
  /** Makes the family; for the service loader. */
  public Indexing() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("GetItem", Indexing::getItem);
    registry.op("Slice", Indexing::slice);
    registry.op("SliceUpdate", Indexing::sliceUpdate);
    registry.op("Pad", Indexing::pad);
    registry.op("Take", Indexing::take);
    registry.op("TakeAlongAxis", Indexing::takeAlongAxis);
    registry.op("OneHot", Indexing::oneHot);
    registry.op("MultiHot", Indexing::multiHot);
  }

  /**
   * {@code GetItem}: a copy of a view. Negative steps are taken forwards and then reversed, since ND4J's {@code strided_slice} ends the
   * process over them.
   */
  private static Step getItem(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    long[] starts = new long[x.rank()];
    long[] sizes = new long[x.rank()];
    long[] steps = Shapes.ones(x.rank());
    long[] shape = {};
    LongStream.Builder backwards = LongStream.builder();
    int axis = 0;
    for (JsonNode key : context.attrs().json("key")) {
      if (key.has("newaxis")) {
        shape = Shapes.insert(shape, shape.length, 1);
        continue;
      }
      if (key.has("index")) {
        long index = context.resolve(key.get("index"));
        starts[axis] = index < 0 ? index + x.size(axis) : index;
        sizes[axis] = 1;
        axis++;
        continue;
      }
      if (slice(context, key.get("slice"), axis, x.size(axis), starts, sizes, steps)) {
        backwards.add(axis);
      }
      shape = Shapes.insert(shape, shape.length, sizes[axis]);
      axis++;
    }
    INDArray z = context.allocate(0, shape);
    INDArray view = Views.slice(x, starts, sizes, steps);
    long[] reversed = backwards.build().toArray();
    if (reversed.length == 0) {
      return k.copy(view, Views.reshape(z, sizes)).step();
    }
    INDArray forwards = k.scratchLike(view);
    Layouts.flip(k.copy(view, forwards), forwards, Views.reshape(z, sizes), reversed);
    return k.step();
  }

  /** Works out one slice as Python does; returns whether it runs backwards. */
  private static boolean slice(
      OpContext context, JsonNode key, int axis, long size, long[] starts, long[] sizes, long[] steps) {
    long step = key.get(2).isNull() ? 1 : context.resolve(key.get(2));
    long least = step > 0 ? 0 : -1;
    long most = step > 0 ? size : size - 1;
    long start = bound(context, key.get(0), size, least, most, step > 0 ? least : most);
    long stop = bound(context, key.get(1), size, least, most, step > 0 ? most : least);
    long count = Math.max(0, step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step);
    sizes[axis] = count;
    steps[axis] = Math.abs(step);
    starts[axis] = step > 0 ? start : count == 0 ? 0 : start + (count - 1) * step;
    return step < 0;
  }

  private static long bound(OpContext context, JsonNode value, long size, long least, long most, long otherwise) {
    if (value.isNull()) {
      return otherwise;
    }
    long index = context.resolve(value);
    return Math.max(least, Math.min(most, index < 0 ? index + size : index));
  }

  private static Step slice(OpContext context) {
    INDArray x = context.input(0);
    long[] shape = context.dims("shape");
    long[] starts = context.dims("start_indices");
    for (int i = 0; i < shape.length; i++) {
      shape[i] = shape[i] == -1 ? x.size(i) - starts[i] : shape[i];
    }
    inside(context, x, starts, shape);
    INDArray z = context.allocate(0, shape);
    return new Kernel(context).copy(Views.slice(x, starts, shape, Shapes.ones(shape.length)), z).step();
  }

  private static Step sliceUpdate(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    INDArray part = k.input(1, z.dataType());
    long[] starts = context.dims("start_indices");
    inside(context, x, starts, part.shape());
    return k.copy(x, z).copy(part, Views.slice(z, starts, part.shape(), Shapes.ones(x.rank()))).step();
  }

  private static void inside(OpContext context, INDArray x, long[] starts, long[] shape) {
    for (int i = 0; i < starts.length; i++) {
      if (starts[i] < 0 || starts[i] + shape[i] > x.size(i)) {
        throw context.attrs().wrong("start_indices", "a start that leaves room in " + Arrays.toString(x.shape()));
      }
    }
  }

  /**
   * {@code Pad}: the middle is copied; then, axis after axis, the borders are filled, or copied from what is there already. ND4J's
   * {@code pad} and {@code mirror_pad} refuse BOOL and have no edge or wrap mode.
   */
  private static Step pad(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    String mode = context.attrs().getString("mode", "constant");
    double value = context.attrs().getDouble("constant_values", 0);
    long[] before = new long[x.rank()];
    long[] shape = x.shape().clone();
    JsonNode widths = context.attrs().json("pad_width");
    for (int i = 0; i < x.rank(); i++) {
      before[i] = context.resolve(widths.get(i).get(0));
      shape[i] += before[i] + context.resolve(widths.get(i).get(1));
    }
    INDArray z = context.allocate(0, shape);
    k.copy(x, Views.slice(z, before, x.shape(), Shapes.ones(x.rank())));
    for (int axis = 0; axis < x.rank(); axis++) {
      // Of the axes not padded yet only the middle is there.
      INDArray ready = z;
      for (int later = axis + 1; later < x.rank() && !mode.equals("constant"); later++) {
        ready = Views.range(ready, later, before[later], x.size(later));
      }
      long after = before[axis] + x.size(axis);
      if (mode.equals("constant")) {
        k.fill(Views.range(ready, axis, 0, before[axis]), value);
        k.fill(Views.range(ready, axis, after, shape[axis] - after), value);
        continue;
      }
      for (long i = 0; i < shape[axis]; i++) {
        if (i < before[axis] || i >= after) {
          long from = before[axis] + source(context, mode, i - before[axis], x.size(axis));
          k.copy(Views.range(ready, axis, from, 1), Views.range(ready, axis, i, 1));
        }
      }
    }
    return k.step();
  }

  /** The index within an axis that a position outside of it copies. */
  private static long source(OpContext context, String mode, long i, long size) {
    switch (mode) {
      case "edge":
        return Math.max(0, Math.min(size - 1, i));
      case "wrap":
        return Math.floorMod(i, size);
      case "symmetric":
        long twice = Math.floorMod(i, 2 * size);
        return twice < size ? twice : 2 * size - 1 - twice;
      case "reflect":
        long period = Math.max(1, 2 * size - 2);
        long at = Math.floorMod(i, period);
        return at < size ? at : period - at;
      default:
        throw Kernel.unsupported(context, "mode constant, reflect, symmetric, edge or wrap", mode);
    }
  }

  /**
   * {@code Take}: ND4J's {@code gather}, always from an array of three axes and with a flat list of indices, because a vector as
   * source and indices of rank 2 end the process. Negative indices count from the end; others outside are refused at run time, where
   * ND4J would read something else.
   */
  private static Step take(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    INDArray indices = context.input(1);
    int axis = context.attrs().getInt("axis");
    long[] outer = Arrays.copyOf(x.shape(), axis);
    long[] inner = Arrays.copyOfRange(x.shape(), axis + 1, x.rank());
    INDArray z = context.allocate(0, Shapes.concat(outer, indices.shape(), inner));
    INDArray flat = Views.reshape(indices(context, k, indices, x.size(axis)), indices.length());
    INDArray source = Views.reshape(x, Shapes.size(outer), x.size(axis), Shapes.size(inner));
    INDArray result = Views.reshape(z, Shapes.size(outer), indices.length(), Shapes.size(inner));
    if (outer.length == 0) {
      source = Views.reshape(source, x.size(axis), Shapes.size(inner));
      result = Views.reshape(result, indices.length(), Shapes.size(inner));
    }
    gather(k, source, flat, result, outer.length == 0 ? 0 : 1);
    return k.step();
  }

  /** Adds ND4J's {@code gather}; it refuses BOOL, which goes as bytes. */
  static void gather(Kernel k, INDArray source, INDArray flat, INDArray result, int axis) {
    if (result.dataType() == DataType.BOOL) {
      INDArray bytes = k.scratch(DataType.INT8, result.shape());
      gather(k, k.as(source, DataType.INT8), flat, bytes, axis);
      k.cast(bytes, result);
    } else {
      k.op("gather").in(source, flat).out(result).ints(axis).add();
    }
  }

  /** Adds the check of indices and the change of negative ones; returns int64 indices from 0 to size - 1. */
  static INDArray indices(OpContext context, Kernel k, INDArray given, long size) {
    INDArray signed = k.as(given, DataType.INT64);
    if (signed.length() == 0) {
      return signed;
    }
    INDArray least = k.scratch(DataType.INT64);
    INDArray most = k.scratch(DataType.INT64);
    long[] axes = Arrays.stream(Shapes.range(signed.rank())).asLongStream().toArray();
    if (axes.length == 0) {
      k.copy(signed, least).copy(signed, most);
    } else {
      k.reduce("reduce_min", signed, least, axes).reduce("reduce_max", signed, most, axes);
    }
    String node = context.node().toString();
    k.then(() -> check(node, least.getLong(0), most.getLong(0), size));
    INDArray positive = k.scratchLike(signed);
    k.binary("floormod", signed, size, positive);
    return positive;
  }

  private static void check(String node, long least, long most, long size) {
    if (least < -size || most >= size) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected indices from " + -size + " to " + (size - 1) + " at " + node + ". Received: " + least + " to " + most
              + ". Check the model's inputs, such as token numbers against the vocabulary.");
    }
  }

  /** {@code TakeAlongAxis}: indices into the flat array, then {@code gather}; ND4J's flat gather crashes on shaped indices. */
  private static Step takeAlongAxis(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    INDArray given = context.input(1);
    int axis = context.attrs().getInt("axis");
    long[] shape = Shapes.broadcast(Shapes.replace(x.shape(), axis, 1), Shapes.replace(given.shape(), axis, 1));
    shape = Shapes.replace(shape, axis, given.size(axis));
    INDArray z = context.allocate(0, shape);
    INDArray indices = Choice.expanded(k, indices(context, k, given, x.size(axis)), z);
    INDArray flat = k.scratchLike(indices);
    k.binary("multiply", indices, x.stride(axis), flat).binary("add", flat, positions(x, shape, axis), flat);
    INDArray list = Views.reshape(flat, flat.length());
    gather(k, Views.reshape(x, x.length(), 1), list, Views.reshape(z, z.length(), 1), 0);
    return k.step();
  }

  /** For each element of a result, where index 0 of the axis is in x. */
  private static INDArray positions(INDArray x, long[] shape, int axis) {
    long[] strides = Shapes.strides(shape);
    long[] at = new long[(int) Shapes.size(shape)];
    for (int flat = 0; flat < at.length; flat++) {
      for (int i = 0; i < shape.length; i++) {
        if (i != axis && x.size(i) != 1) {
          at[flat] += flat / strides[i] % shape[i] * x.stride(i);
        }
      }
    }
    return Nd4j.createFromArray(at).reshape(shape);
  }

  /** {@code OneHot}: equality with the class numbers; whatever is outside of them gives zeros. */
  private static Step oneHot(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int axis = context.attrs().getInt("axis");
    long classes = context.dim("num_classes");
    INDArray z = context.allocate(0, Shapes.insert(x.shape(), axis, classes));
    oneHot(k, x, z, axis);
    return k.step();
  }

  static void oneHot(Kernel k, INDArray x, INDArray z, int axis) {
    long[] along = Shapes.ones(z.rank());
    along[axis] = z.size(axis);
    INDArray numbers = Nd4j.createFromArray(LongStream.range(0, z.size(axis)).toArray()).reshape(along);
    INDArray wanted = Views.expand(k.as(x, DataType.INT64), axis);
    INDArray hit = z.dataType() == DataType.BOOL ? z : k.scratch(DataType.BOOL, z.shape());
    k.binary("equals", Choice.expanded(k, wanted, z), Choice.expanded(k, numbers, z), hit);
    if (hit != z) {
      k.cast(hit, z);
    }
  }

  /** {@code MultiHot}: the largest of one-hot codes over axis 1 of them (axis 0 of a vector). */
  private static Step multiHot(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int axis = context.attrs().getInt("axis");
    long[] full = Shapes.insert(x.shape(), axis, context.dim("num_classes"));
    int reduced = x.rank() > 1 ? 1 : 0;
    INDArray z = context.allocate(0, Shapes.remove(full, reduced));
    INDArray codes = k.scratch(DataType.INT32, full);
    INDArray found = k.scratch(DataType.INT32, Shapes.replace(full, reduced, 1));
    oneHot(k, x, codes, axis);
    return k.reduce("reduce_max", codes, found, reduced).cast(Views.reshape(found, z.shape()), z).step();
  }
}
