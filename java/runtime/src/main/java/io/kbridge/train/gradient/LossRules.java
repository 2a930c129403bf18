package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.List;

/** Rules of cross-entropies. From logits they are TensorFlow's fused ones: softmax minus target, also where targets do not sum to 1. */
public final class LossRules implements GradientRules {
  private static final double EPSILON = 1e-7;

  /** Makes the family; for the service loader. */
  public LossRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.rule("BinaryCrossentropy", LossRules::binary);
    registry.rule("CategoricalCrossentropy", LossRules::categorical);
    registry.rule("SparseCategoricalCrossentropy", LossRules::sparse);
    registry.rule("CTCLoss", LossRules::ctc);
  }

  private static boolean fromLogits(GradientContext c) {
    return c.attrs().getBoolean("from_logits", false);
  }

  private static Sym clip(Emitter e, Sym p) {
    return e.node("Clip", List.of(p), Emitter.attrs().put("x_min", EPSILON).put("x_max", 1 - EPSILON), p.type(), p.shape());
  }

  private static void binary(GradientContext c) {
    Emitter e = c.e();
    if (fromLogits(c)) {
      c.give(1, e.mul(c.gradient(0), e.sub(e.sigmoid(c.typedInput(1)), c.typedInput(0))));
      c.give(0, e.neg(e.mul(c.gradient(0), c.typedInput(1))));
      return;
    }
    c.through(
        context -> {
          Sym target = context.typedInput(0);
          Sym p = clip(e, context.typedInput(1));
          Sym one = e.constant(p.type(), 1);
          Sym sum = e.add(e.mul(target, e.log(p)), e.mul(e.sub(one, target), e.log(e.sub(one, p))));
          return List.of(e.neg(sum));
        });
  }

  private static Sym softmax(Emitter e, String op, Sym logits, int axis) {
    return e.node(op, List.of(logits), Emitter.attrs().put("axis", axis), logits.type(), logits.shape());
  }

  private static Sym kept(GradientContext c, Sym reduced, int axis) {
    long[] shape = c.input(1).shape();
    shape[axis] = 1;
    return c.e().reshape(reduced, shape);
  }

  private static void categorical(GradientContext c) {
    Emitter e = c.e();
    int axis = c.attrs().getInt("axis");
    Sym output = c.typedInput(1);
    Sym g = kept(c, c.gradient(0), axis);
    if (fromLogits(c)) {
      c.give(1, e.mul(g, e.sub(softmax(e, "Softmax", output, axis), c.typedInput(0))));
      c.give(0, e.neg(e.mul(g, softmax(e, "LogSoftmax", output, axis))));
      return;
    }
    c.through(
        context -> {
          Sym p = clip(e, e.div(output, e.sum(output, true, axis)));
          return List.of(e.neg(e.sum(e.mul(context.typedInput(0), e.log(p)), false, axis)));
        });
  }

  private static void sparse(GradientContext c) {
    Emitter e = c.e();
    Sym output = c.typedInput(1);
    int axis = output.rank() - 1;
    if (!fromLogits(c)) {
      c.through(
          context -> {
            Sym logits = e.log(clip(e, output));
            Sym loss = c.output(0);
            return List.of(
                e.node(c.node().op(), List.of(c.input(0), logits), Emitter.attrs().put("from_logits", true), loss.type(), loss.shape()));
          });
      return;
    }
    Sym classes = e.reshape(c.input(0), c.output(0).shape());
    Sym target =
        e.node(
            "OneHot",
            List.of(classes),
            Emitter.attrs().put("axis", axis).put("num_classes", output.size(axis)),
            output.type(),
            output.shape());
    c.give(1, e.mul(kept(c, c.gradient(0), axis), e.sub(softmax(e, "Softmax", output, axis), target)));
  }

  /** As TensorFlow's: labels and lengths have no gradient. */
  private static void ctc(GradientContext c) {
    Emitter e = c.e();
    Sym logits = c.typedInput(1);
    List<Sym> inputs = List.of(c.input(0), logits, c.input(2), c.input(3));
    ObjectNode attrs = Emitter.attrs().put("mask_index", c.attrs().getInt("mask_index", 0));
    Sym slope = e.node("CTCLossGrad", inputs, attrs, logits.type(), logits.shape());
    c.give(1, e.mul(e.reshape(c.gradient(0), logits.size(0), 1, 1), slope));
  }
}
