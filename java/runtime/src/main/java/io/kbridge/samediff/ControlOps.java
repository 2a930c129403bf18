package io.kbridge.samediff;

import io.kbridge.graph.GraphBody;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;

/** Loops of a known length are written out, since SameDiff's have no gradient. */
public final class ControlOps implements SameDiffMappings {
  private static final long MOST_STEPS = 512;

  /** Makes the family; for the service loader. */
  public ControlOps() {}

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("Scan", ControlOps::scan);
  }

  private static void scan(SameDiffNode node) {
    SameDiff sd = node.sd();
    int sequences = node.attrs().getInt("num_xs");
    int states = node.attrs().getInt("num_states");
    int axis = node.attrs().getInt("axis");
    boolean reverse = node.attrs().getBoolean("reverse");
    long length = sequences == 0 ? node.known(node.attrs().json("length")) : node.shape(0)[axis];
    if (length < 1 || length > MOST_STEPS) {
      throw new Refusal("a loop of another length than 1 to " + MOST_STEPS + " steps, or one known at call time only");
    }
    GraphBody body = node.node().bodies().get(0);
    SDVariable[] state = new SDVariable[states];
    for (int i = 0; i < states; i++) {
      state[i] = node.in(sequences + i);
    }
    List<List<SDVariable>> answers = new ArrayList<>();
    for (long step = 0; step < length; step++) {
      long at = reverse ? length - 1 - step : step;
      Map<String, SDVariable> bound = new HashMap<>();
      for (int i = 0; i < sequences; i++) {
        SDVariable x = LayoutOps.movable(node.in(i));
        SDVariable slice = sd.squeeze(Formulas.range(x, node.rank(i), axis, at, at + 1), axis);
        bound.put(body.inputs().get(i).name(), Formulas.cast(slice, body.inputs().get(i).dtype()));
      }
      for (int i = 0; i < states; i++) {
        bound.put(body.inputs().get(sequences + i).name(), state[i]);
      }
      SDVariable[] found = node.scope().body(node.node(), 0, bound);
      System.arraycopy(found, 0, state, 0, states);
      for (int i = states; i < found.length; i++) {
        if (step == 0) {
          answers.add(new ArrayList<>());
        }
        answers.get(i - states).add(LayoutOps.movable(found[i]));
      }
    }
    for (int i = 0; i < states; i++) {
      node.give(i, state[i]);
    }
    for (int i = 0; i < answers.size(); i++) {
      node.give(states + i, sd.stack(axis, answers.get(i).toArray(new SDVariable[0])));
    }
  }
}
