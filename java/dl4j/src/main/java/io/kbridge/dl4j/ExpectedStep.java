package io.kbridge.dl4j;

import io.kbridge.bundle.Bundle;
import io.kbridge.train.Trainer;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/**
 * The training step of kbridge that a network's is compared with, number by number; and how far rounding alone moves it, where numbers differ.
 *
 * <p>Measured on a ResNet-50 with random weights, one step with two samples, against float64: the gradients of native Keras are off by 2.8 % in
 * float32, those of kbridge's ND4J steps by 4.8 %, and DL4J's by 3.8 %; none has anything wrong. Many a ReLU there has its argument next to 0, and batch
 * normalizations pass such differences on to all samples. So where a step is out of tolerance, it is compared with how far one goes
 * whose weights and inputs are changed by two millionths at most.
 */
final class ExpectedStep {
  // Below this part of the largest gradient, rounding decides where an updater goes.
  private static final double LEAST = 1e-4;
  private static final double CHANGE = 1.0 / (1 << 19);
  // Both sides may be off by what rounding does.
  private static final double SIDES = 2;
  // A step the other way is off by twice its size; no rounding excuses more than a quarter of that.
  private static final double MOST = 0.5;

  private final Bundle bundle;
  private final Map<String, INDArray> samples;
  private final Map<String, INDArray> labels;
  private final Map<String, INDArray> gradients;
  private final Map<String, INDArray> step;
  private final Map<String, INDArray> weights = new HashMap<>();
  private final Map<String, INDArray> moved = new HashMap<>();
  private final Map<String, INDArray> movedGradients = new HashMap<>();

  ExpectedStep(Bundle bundle, Map<String, INDArray> samples, Map<String, INDArray> labels) {
    this.bundle = bundle;
    this.samples = samples;
    this.labels = labels;
    try (Trainer trainer = Trainer.open(bundle.file(), "nd4j")) {
      gradients = trainer.gradients(samples, labels, Map.of());
      step = step(trainer, samples);
      trainer.weights().forEach((name, array) -> weights.put(name, array.dup()));
    }
  }

  /** Names the weights that another step has made something else of. */
  Set<String> differences(Map<String, INDArray> found) {
    double largest = 0;
    for (INDArray gradient : gradients.values()) {
      largest = Math.max(largest, gradient.amaxNumber().doubleValue());
    }
    Set<String> wrong = new TreeSet<>();
    for (Map.Entry<String, INDArray> entry : found.entrySet()) {
      String name = entry.getKey();
      INDArray gradient = gradients.get(name);
      INDArray decided = gradient == null ? null : Transforms.abs(gradient).gt(LEAST * largest).castTo(DataType.FLOAT);
      INDArray error = masked(entry.getValue().sub(weights.get(name)), decided);
      if (isOutside(name, error) && !isRounding(name, error, decided)) {
        wrong.add(name);
      }
    }
    return wrong;
  }

  /**
   * Tells whether a difference is no larger than rounding makes it, of all numbers together, or is in numbers whose gradients rounding may turn
   * over, which Adam's first step follows in full.
   */
  private boolean isRounding(String name, INDArray error, INDArray decided) {
    if (moved.isEmpty()) {
      move();
    }
    double size = norm(masked(step.get(name), decided));
    double movement = norm(masked(moved.get(name).sub(step.get(name)), decided));
    if (norm(error) <= Math.min(SIDES * movement, MOST * size)) {
      return true;
    }
    INDArray gradient = gradients.get(name);
    if (gradient == null) {
      return false;
    }
    // NB: the largest, since a ReLU that turns over moves few numbers, and those far; where it does is chance.
    double noise = movedGradients.get(name).sub(gradient).amaxNumber().doubleValue();
    return !isOutside(name, masked(error, Transforms.abs(gradient).gt(SIDES * noise).castTo(DataType.FLOAT)));
  }

  private boolean isOutside(String name, INDArray error) {
    return Transforms.abs(error).gt(Transforms.abs(weights.get(name)).mul(1e-4).addi(2e-6)).any();
  }

  private void move() {
    Random random = new Random(11);
    try (Trainer trainer = Trainer.open(bundle.file(), "nd4j")) {
      trainer.weights().values().forEach(weight -> weight.assign(changed(weight, random)));
      Map<String, INDArray> others = new LinkedHashMap<>();
      samples.forEach((name, sample) -> others.put(name, changed(sample, random)));
      movedGradients.putAll(trainer.gradients(others, labels, Map.of()));
      moved.putAll(step(trainer, others));
    }
  }

  private Map<String, INDArray> step(Trainer trainer, Map<String, INDArray> inputs) {
    Map<String, INDArray> made = new HashMap<>();
    trainer.weights().forEach((name, array) -> made.put(name, array.neg()));
    trainer.trainOnBatch(inputs, labels, Map.of());
    trainer.weights().forEach((name, array) -> made.get(name).addi(array));
    return made;
  }

  private static INDArray changed(INDArray array, Random random) {
    INDArray other = array.dup('c');
    for (long i = 0; array.dataType().isFPType() && i < other.length(); i++) {
      other.data().put(i, other.data().getDouble(i) * (1 + CHANGE * (2 * random.nextDouble() - 1)));
    }
    return other;
  }

  private static INDArray masked(INDArray array, INDArray mask) {
    return mask == null ? array : array.mul(mask);
  }

  private static double norm(INDArray array) {
    return array.norm2Number().doubleValue();
  }
}
