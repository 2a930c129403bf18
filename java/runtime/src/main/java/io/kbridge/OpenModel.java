package io.kbridge;

import io.kbridge.bundle.Bundle;
import io.kbridge.bundle.Golden;
import io.kbridge.graph.GraphOutput;
import io.kbridge.graph.ModelGraph;
import io.kbridge.plan.Finite;
import io.kbridge.plan.Plan;
import io.kbridge.plan.PlanCache;
import io.kbridge.plan.PlanCompiler;
import io.kbridge.plan.Threads;
import io.kbridge.samediff.SameDiffBuilder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** What an open model holds: its bundle, its plans, and what they are asked for. Thread safe but for {@link #close()}. */
final class OpenModel {
  final Bundle bundle;
  final Map<String, INDArray> arrays;
  final ModelGraph graph;
  final PlanCompiler compiler;
  final PlanCache plans;
  final ModelStates states;
  final Map<String, TensorInfo> inputs;
  final Map<String, TensorInfo> outputs;

  OpenModel(Bundle bundle, Map<String, INDArray> arrays, LoadOptions options) {
    Calibration.require(bundle.graph(), options);
    this.bundle = bundle;
    this.arrays = arrays;
    this.graph = bundle.graph();
    int threads = options.threads() > 0 ? options.threads() : Threads.usual();
    this.compiler = new PlanCompiler(graph, arrays, options.registry(), options.newEngine(bundle::forgetPages), threads);
    Set<String> wanted = new LinkedHashSet<>();
    graph.outputs().forEach(output -> wanted.add(output.value()));
    this.states = new ModelStates(graph, bundle.initialStates());
    wanted.addAll(states.wanted());
    this.plans = new PlanCache(compiler, wanted, options.planCacheSize(), options.concurrency());
    Map<String, TensorInfo> in = new LinkedHashMap<>();
    graph.inputs().forEach(input -> in.put(input.value().name(), new TensorInfo(input.value(), input.optional())));
    Map<String, TensorInfo> out = new LinkedHashMap<>();
    graph.outputs().forEach(output -> out.put(output.declared().name(), new TensorInfo(output.declared(), false)));
    this.inputs = Collections.unmodifiableMap(in);
    this.outputs = Collections.unmodifiableMap(out);
  }

  List<INDArray> outputsOf(Map<String, INDArray> values) {
    List<INDArray> ordered = new ArrayList<>();
    graph.outputs().forEach(output -> ordered.add(values.get(output.value())));
    return ordered;
  }

  Map<String, INDArray> predict(Map<String, INDArray> given) {
    return named(states.call(plans, given));
  }

  /** Predicts from the states that the file has, and leaves those of the model alone. */
  Map<String, INDArray> answer(Map<String, INDArray> given) {
    return named(new ModelStates(graph, bundle.initialStates()).call(plans, given));
  }

  private Map<String, INDArray> named(Map<String, INDArray> values) {
    Map<String, INDArray> results = new LinkedHashMap<>();
    Set<String> used = new LinkedHashSet<>();
    for (GraphOutput output : graph.outputs()) {
      INDArray value = values.get(output.value());
      // NB: two outputs that are one value still are two arrays: a caller may change one of them.
      results.put(output.declared().name(), used.add(output.value()) ? value : value.dup('c'));
    }
    return results;
  }

  INDArray predictSingle(INDArray input) {
    String name = onlyInput("predict(Map) with each input");
    return predict(InputCheck.check(inputs, Map.of(name, input))).values().iterator().next();
  }

  String onlyInput(String remedy) {
    if (inputs.size() != 1 || outputs.size() != 1) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected a model with one input and one output. Received: inputs " + inputs.keySet() + " and outputs "
              + outputs.keySet() + ". Call " + remedy + " by its name.");
    }
    return inputs.keySet().iterator().next();
  }

  /** Predicts for zeros, which are in the domain of every input. */
  Void warmUp(Map<String, long[]> shapes) {
    Map<String, INDArray> zeros = new LinkedHashMap<>();
    shapes.forEach((name, shape) -> zeros.put(name, Nd4j.create(inputs.containsKey(name) ? inputs.get(name).dtype() : DataType.FLOAT, shape)));
    plans.run(states.beside(InputCheck.check(inputs, zeros)), values -> null);
    zeros.values().stream().filter(zero -> !zero.isEmpty()).forEach(INDArray::close);
    return null;
  }

  Map<String, INDArray> values(Map<String, INDArray> given, Set<String> names) {
    Set<String> unknown = new TreeSet<>(names);
    unknown.removeAll(graph.values().keySet());
    if (!unknown.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected names of values in the graph of '" + graph.name() + "' (" + graph.values().size() + " values). Received: "
              + unknown + ". layerOutputs() lists those of each layer.");
    }
    Map<String, INDArray> all = states.beside(given);
    try (Plan plan = compiler.compile(PlanCache.shapes(all), names, compiler.engineSuits(all))) {
      return plan.run(all);
    }
  }

  Calibration calibrate(Iterable<Map<String, INDArray>> samples) {
    Map<String, double[]> ranges = new LinkedHashMap<>();
    Set<String> names = Calibration.valuesOf(graph);
    try (PlanCache values = new PlanCache(compiler, names, 1, 1)) {
      for (Map<String, INDArray> sample : samples) {
        values.run(
            states.beside(InputCheck.check(inputs, sample)),
            found -> {
              found.forEach((name, value) -> extend(ranges, name, value));
              return null;
            });
      }
    }
    if (ranges.isEmpty() && !names.isEmpty()) {
      throw new KBridgeException(ErrorCode.INVALID_INPUT, "Expected samples to calibrate with. Received: none. Give inputs like those to come.");
    }
    return Calibration.of(ranges);
  }

  private static void extend(Map<String, double[]> ranges, String name, INDArray value) {
    if (value.isEmpty()) {
      return;
    }
    boolean finite = Finite.all(value);
    double least = finite ? value.minNumber().doubleValue() : Double.NEGATIVE_INFINITY;
    double most = finite ? value.maxNumber().doubleValue() : Double.POSITIVE_INFINITY;
    ranges.merge(name, new double[] {least, most}, (a, b) -> new double[] {Math.min(a[0], b[0]), Math.max(a[1], b[1])});
  }

  SameDiff sameDiff() {
    SameDiffBuilder builder = SameDiffBuilder.of(graph, arrays);
    SameDiff made = builder.graph();
    // NB: golden samples tell of the file's weights.
    if (bundle.golden() != null && bundle.has(arrays)) {
      selfTest(given -> builder.outputs(made, given)).orThrow();
    }
    return made;
  }

  SelfTestReport selfTest(Function<Map<String, INDArray>, Map<String, INDArray>> answerer) {
    Golden golden = bundle.golden();
    if (golden == null) {
      throw new KBridgeException(
          ErrorCode.BUNDLE_FORMAT,
          "Expected golden samples in '" + bundle.file() + "'. Received: a bundle without them. Export the model again, with a sample.");
    }
    Map<String, INDArray> actual = answerer.apply(InputCheck.check(inputs, golden.inputs()));
    List<SelfTestReport.Output> compared = new ArrayList<>();
    golden.outputs().forEach((name, expected) -> compared.add(compare(name, actual.get(name), expected, golden)));
    return new SelfTestReport(compared, golden);
  }

  private static SelfTestReport.Output compare(String name, INDArray actual, INDArray expected, Golden golden) {
    if (!Arrays.equals(actual.shape(), expected.shape())) {
      return new SelfTestReport.Output(
          name, expected.length(), expected.length(), Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY);
    }
    return Comparison.compare(name, actual, expected, golden);
  }

  void close() {
    plans.close();
    compiler.close();
  }
}
