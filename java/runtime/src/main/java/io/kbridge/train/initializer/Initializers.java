package io.kbridge.train.initializer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.train.optimizer.Config;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/** Keras's initializers by their class names. */
final class Initializers {
  /** The standard deviation of a standard normal distribution that is cut off at -2 and 2. */
  private static final double TRUNCATED_STDDEV = 0.87962566103423978;

  private static final Map<String, Function<Config, Initializer>> KNOWN = new HashMap<>();

  static {
    KNOWN.put("Zeros", config -> constant(0));
    KNOWN.put("Ones", config -> constant(1));
    KNOWN.put("Constant", Initializers::constant);
    KNOWN.put("RandomNormal", config -> normal(config, Draws::normal));
    KNOWN.put("TruncatedNormal", config -> normal(config, Draws::truncatedNormal));
    KNOWN.put("RandomUniform", config -> uniform(config.number("minval"), config.number("maxval")));
    KNOWN.put("VarianceScaling", Initializers::varianceScaling);
    family("Glorot", 1, "fan_avg");
    family("He", 2, "fan_in");
    family("Lecun", 1, "fan_in");
    KNOWN.put("Orthogonal", config -> new Orthogonal(config.number("gain")));
    KNOWN.put("Identity", Initializers::identity);
    KNOWN.put("STFT", Stft::new);
    KNOWN.put("SeedGenerator", Initializers::seedGenerator);
    KNOWN.put("kbridge>Concatenated", Initializers::concatenated);
    KNOWN.put("kbridge>SquareRoot", Initializers::squareRoot);
  }

  private Initializers() {}

  /** Makes an initializer of what a bundle says. */
  static Initializer of(JsonNode described) {
    if (described == null || !described.isObject() || !described.path("class_name").isTextual()) {
      throw refused("an initializer", described == null ? "none" : described.path("reason").asText("a function: " + described));
    }
    String className = described.get("class_name").asText();
    Function<Config, Initializer> maker = KNOWN.get(className);
    if (maker == null) {
      throw refused("an initializer of Keras", className);
    }
    // NB: the seed of an initializer is a stream of Keras's, which cannot be repeated here.
    ObjectNode given = described.path("config").isObject() ? (ObjectNode) described.get("config") : null;
    Config config = new Config(given, className);
    config.skip("seed");
    Initializer made = maker.apply(config);
    config.requireAllRead();
    return made;
  }

  static KBridgeException refused(String expected, String received) {
    return new KBridgeException(
        ErrorCode.UNSUPPORTED_OP,
        "Expected " + expected + ". Received: " + received + ". Use one of Keras's initializers, or set the weight yourself.");
  }

  private static Initializer constant(double value) {
    return (shape, draws) -> Draws.fill(shape, () -> value);
  }

  private static Initializer constant(Config config) {
    JsonNode value = config.json("value");
    if (value == null || !value.isArray()) {
      return constant(config.number("value"));
    }
    List<Double> numbers = new ArrayList<>();
    flatten(value, numbers);
    return (shape, draws) -> {
      double[] values = Draws.fill(shape, () -> numbers.get(0));
      if (numbers.size() != 1 && numbers.size() != values.length) {
        throw config.wrong(values.length + " numbers, for the shape " + Arrays.toString(shape), numbers.size() + " numbers");
      }
      for (int i = 0; i < values.length; i++) {
        values[i] = numbers.get(numbers.size() == 1 ? 0 : i);
      }
      return values;
    };
  }

  private static void flatten(JsonNode value, List<Double> into) {
    if (value.isArray()) {
      value.forEach(member -> flatten(member, into));
    } else {
      into.add(value.asDouble());
    }
  }

  private static Initializer normal(Config config, ToDoubleFunction<Draws> one) {
    double mean = config.number("mean");
    double stddev = config.number("stddev");
    return (shape, draws) -> Draws.fill(shape, () -> mean + stddev * one.applyAsDouble(draws));
  }

  private static Initializer uniform(double from, double to) {
    return (shape, draws) -> Draws.fill(shape, () -> from + (to - from) * draws.uniform());
  }

  private static void family(String name, double scale, String mode) {
    KNOWN.put(name + "Uniform", config -> scaling(config, scale, mode, "uniform"));
    KNOWN.put(name + "Normal", config -> scaling(config, scale, mode, "truncated_normal"));
  }

  private static Initializer varianceScaling(Config config) {
    return scaling(config, config.number("scale"), config.json("mode").asText(), config.json("distribution").asText());
  }

  private static Initializer scaling(Config config, double scale, String mode, String distribution) {
    JsonNode inputs = config.json("input_axes");
    JsonNode outputs = config.json("output_axes");
    return (shape, draws) -> {
      double[] fans = fans(shape, inputs, outputs);
      double fan = mode.equals("fan_in") ? fans[0] : mode.equals("fan_out") ? fans[1] : (fans[0] + fans[1]) / 2;
      double variance = scale / Math.max(1, fan);
      double stddev = Math.sqrt(variance);
      switch (distribution) {
        case "uniform":
          double limit = Math.sqrt(3 * variance);
          return uniform(-limit, limit).values(shape, draws);
        case "untruncated_normal":
          return Draws.fill(shape, () -> stddev * draws.normal());
        default:
          return Draws.fill(shape, () -> stddev / TRUNCATED_STDDEV * draws.truncatedNormal());
      }
    };
  }

  private static double[] fans(long[] shape, JsonNode inputs, JsonNode outputs) {
    if (inputs != null && inputs.isArray() && outputs != null && outputs.isArray()) {
      return new double[] {product(shape, inputs), product(shape, outputs)};
    }
    int rank = shape.length;
    if (rank < 2) {
      double size = rank == 0 ? 1 : shape[0];
      return new double[] {size, size};
    }
    double field = 1;
    for (int i = 0; i < rank - 2; i++) {
      field *= shape[i];
    }
    return new double[] {field * shape[rank - 2], field * shape[rank - 1]};
  }

  private static double product(long[] shape, JsonNode axes) {
    double product = 1;
    for (JsonNode axis : axes) {
      int i = axis.asInt();
      product *= shape[i < 0 ? i + shape.length : i];
    }
    return product;
  }

  private static Initializer identity(Config config) {
    double gain = config.number("gain");
    return (shape, draws) -> {
      if (shape.length != 2) {
        throw config.wrong("a weight with two axes", Arrays.toString(shape));
      }
      double[] values = Draws.fill(shape, () -> 0);
      for (int i = 0; i < Math.min(shape[0], shape[1]); i++) {
        values[(int) (i * shape[1] + i)] = gain;
      }
      return values;
    };
  }

  /** The state of a seed generator: its seed, and how often it was used. */
  private static Initializer seedGenerator(Config config) {
    config.skip("name");
    return (shape, draws) -> {
      double[] state = Draws.fill(shape, () -> 0);
      state[0] = Math.floor(draws.uniform() * Integer.MAX_VALUE);
      return state;
    };
  }

  private static Initializer squareRoot(Config config) {
    Initializer of = of(config.json("of"));
    return (shape, draws) -> Arrays.stream(of.values(shape, draws)).map(Math::sqrt).toArray();
  }

  /** One initializer after the other along an axis. */
  private static Initializer concatenated(Config config) {
    int axis = (int) config.number("axis");
    List<JsonNode> parts = config.list("parts");
    List<Initializer> makers = new ArrayList<>();
    parts.forEach(part -> makers.add(of(part.get("initializer"))));
    return (shape, draws) -> {
      double[] values = Draws.fill(shape, () -> 0);
      long inner = 1;
      for (int i = axis + 1; i < shape.length; i++) {
        inner *= shape[i];
      }
      long whole = inner * shape[axis];
      long from = 0;
      for (int p = 0; p < makers.size(); p++) {
        long[] partShape = shape.clone();
        partShape[axis] = parts.get(p).get("size").asLong();
        double[] part = makers.get(p).values(partShape, draws);
        long run = inner * partShape[axis];
        for (int row = 0; row < part.length / run; row++) {
          System.arraycopy(part, (int) (row * run), values, (int) (row * whole + from), (int) run);
        }
        from += run;
      }
      return values;
    };
  }
}
