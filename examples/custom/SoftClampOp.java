import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/** An operation of one's own: limit * tanh(x / limit). */
public final class SoftClampOp implements OpMappings {
  @Override
  public void register(OpRegistry registry) {
    registry.op("SoftClamp", SoftClampOp::softClamp);
  }

  /** Everything but the arithmetic happens here, once per input shape; the step that is returned only computes. */
  private static Step softClamp(OpContext context) {
    double limit = context.attrs().getDouble("limit");
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    return () -> {
      x.div(limit, z);
      Transforms.tanh(z, false);
      z.muli(limit);
    };
  }
}
