package io.kbridge.host;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.KBridgeModel;
import io.kbridge.graph.ElementType;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.StepInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Calls of a model with inputs of certain shapes. What depends on the shapes alone is done once, so that a call costs little
 * more than the model. Thread-safe.
 */
public final class HostCall {
  private final KBridgeModel model;
  private final String[] names;
  private final ElementType[] types;
  private final long[][] shapes;
  // Making an array object costs more than a small model's whole run, and callers that loop mostly give the same memory
  // again. An array kept here is used only while a caller vouches for its address.
  private final AtomicReferenceArray<Laid> laid;
  private volatile long[] outputBytes;

  HostCall(KBridgeModel model, String[] names, ElementType[] types, long[][] shapes) {
    this.model = model;
    this.names = names;
    this.types = types;
    this.shapes = shapes;
    this.laid = new AtomicReferenceArray<>(names.length);
  }

  /**
   * Runs the model.
   *
   * @param addresses of the inputs' first elements, in the model's order, absent optional ones left out; the memory is
   *     row-major, in native byte order, and must stay valid and unchanged until this returns
   * @return the outputs, in the model's order
   * @throws KBridgeException if the model cannot be run on them
   */
  public HostResult run(long... addresses) {
    return model.predict(
        inputs(addresses),
        outputs -> {
          outputBytes = outputs.stream().mapToLong(HostCall::bytes).toArray();
          return new HostResult(outputs);
        });
  }

  /**
   * Runs the model and puts the outputs where the caller wants them. Allowed once {@link #run} has told how large they are: for the same
   * input shapes that does not change.
   *
   * @param addresses as for {@link #run}
   * @param targets where each output is put, in the model's order: row-major, in native byte order; 0 for one without elements
   * @throws KBridgeException if the model cannot be run on them, or the outputs are not as large as they were
   */
  public void runInto(long[] addresses, long[] targets) {
    model.predict(
        inputs(addresses),
        outputs -> {
          long[] sizes = outputs.stream().mapToLong(HostCall::bytes).toArray();
          if (targets.length != sizes.length || !Arrays.equals(sizes, outputBytes)) {
            throw new KBridgeException(
                ErrorCode.INTERNAL,
                "Expected " + targets.length + " outputs of " + Arrays.toString(outputBytes) + " bytes. Received: "
                    + Arrays.toString(sizes) + ". This is a defect of kbridge: please report it.");
          }
          for (int i = 0; i < targets.length; i++) {
            if (sizes[i] > 0) {
              INDArray output = outputs.get(i);
              INDArray dense = NativeArrays.isDense(output) ? output : output.dup('c');
              NativeArrays.toHost(dense, new Address(targets[i], sizes[i]));
            }
          }
          return null;
        });
  }

  /**
   * Runs a model of one input and one output as {@link #runInto} does, without the cost of bringing lists of addresses here.
   *
   * @param address of the input's first element
   * @param target where the output is put
   * @throws KBridgeException if the model cannot be run on it
   */
  public void runOne(long address, long target) {
    runInto(new long[] {address}, new long[] {target});
  }

  /**
   * Tells what a prediction does, step by step.
   *
   * @param addresses as for {@link #run}
   * @param runs how often to run it, to find out how long each step takes; 0 for not at all
   * @return JSON: a list of objects with node, members, ops, scope, implementation, and microseconds if it was run
   */
  public String planSteps(long[] addresses, int runs) {
    ArrayNode steps = new ObjectMapper().createArrayNode();
    for (StepInfo step : model.planSteps(inputs(addresses), runs)) {
      ObjectNode json = steps.addObject();
      json.put("node", step.node()).put("ops", step.ops()).put("scope", step.scope()).put("implementation", step.implementation());
      ArrayNode members = json.putArray("members");
      step.members().forEach(members::add);
      if (runs > 0) {
        json.put("microseconds", step.microseconds());
      }
    }
    return steps.toString();
  }

  /**
   * Runs the model and gives values from inside its graph.
   *
   * @param addresses as for {@link #run}
   * @param valueNames the values wanted
   * @return those values, in the order asked for
   * @throws KBridgeException if the model cannot be run, or has no such values
   */
  public HostResult values(long[] addresses, String[] valueNames) {
    Map<String, INDArray> found = model.values(inputs(addresses), Arrays.asList(valueNames));
    List<INDArray> ordered = new ArrayList<>();
    for (String name : valueNames) {
      ordered.add(found.get(name));
    }
    HostResult result = new HostResult(ordered);
    found.values().forEach(INDArray::close);
    return result;
  }

  /**
   * Finds out how large the values get that convolutions and products read.
   *
   * @param addresses as for {@link #run}
   * @return JSON: an object that has the smallest and the largest number of each value
   */
  public String calibrate(long... addresses) {
    return new ObjectMapper().valueToTree(model.calibrate(List.of(inputs(addresses))).ranges()).toString();
  }

  private static long bytes(INDArray array) {
    return array.isEmpty() ? 0 : array.length() * array.dataType().width();
  }

  private Map<String, INDArray> inputs(long[] addresses) {
    if (addresses.length != names.length) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected the addresses of " + names.length + " inputs: " + List.of(names) + ". Received: " + addresses.length + ".");
    }
    Map<String, INDArray> inputs = new LinkedHashMap<>();
    for (int i = 0; i < names.length; i++) {
      inputs.put(names[i], input(i, addresses[i]));
    }
    return inputs;
  }

  private INDArray input(int i, long address) {
    if (!NativeArrays.inHostMemory()) {
      return array(address, types[i], shapes[i]); // the caller's memory may hold something else than in the last call
    }
    Laid last = laid.get(i);
    if (last == null || last.address != address) {
      last = new Laid(address, array(address, types[i], shapes[i]));
      laid.set(i, last);
    }
    return last.array;
  }

  static INDArray array(long address, ElementType type, long[] shape) {
    long length = NativeArrays.length(shape);
    if (length == 0) {
      return NativeArrays.empty(type.dataType(), shape);
    }
    return NativeArrays.over(new Address(address, length * type.bytes()), type.dataType(), shape);
  }

  private static final class Laid {
    private final long address;
    private final INDArray array;

    Laid(long address, INDArray array) {
      this.address = address;
      this.array = array;
    }
  }
}
