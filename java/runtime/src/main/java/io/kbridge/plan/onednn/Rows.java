package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SCALE_SHIFT;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.normalization_flags;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpMapping;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.bytedeco.dnnl.layer_normalization_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.dnnl.softmax_forward;
import org.nd4j.linalg.api.ndarray.INDArray;

/** What is computed row by row: softmax, layer normalisation and largest numbers. */
final class Rows {
  private static final long MOST_IN_JAVA = 1L << 20;

  private Rows() {}

  static void register() {
    Heads.alone("Softmax", Rows::softmax);
    Heads.alone("LayerNorm", Rows::layerNorm);
  }

  private static OpMapping softmax(Site site) {
    INDArray x = site.input(0);
    JsonNode attr = site.head().attrs().json("axis");
    if (!site.isFloat() || x.rank() == 0 || !attr.isIntegralNumber()) {
      return null;
    }
    int axis = attr.intValue();
    long size = x.size(axis);
    long inner = NativeArrays.length(Arrays.copyOfRange(x.shape(), axis + 1, x.rank()));
    long outer = x.length() / size / inner;
    memory.desc desc = site.session().own(inner == 1 ? OneDnn.plain(outer, size) : OneDnn.plain(outer, size, inner));
    primitive_attr none = PostOps.none(site).attr();
    softmax_forward.primitive_desc found =
        OneDnn.ask(
            () -> new softmax_forward.primitive_desc(
                new softmax_forward.desc(prop_kind.forward_inference, desc, 1), none, OneDnn.cpu()));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    return context ->
        new Call(site.session(), found, new softmax_forward(found))
            .arg(DNNL_ARG_SRC, desc, x)
            .arg(DNNL_ARG_DST, desc, Results.over(context, x))
            .scratch(context, found)
            .step();
  }

  private static OpMapping layerNorm(Site site) {
    INDArray x = site.input(0);
    if (!site.isFloat() || site.head().attrs().getBoolean("rms_scaling", false)) {
      return null;
    }
    int count = trailing(site.head().attrs().json("axis"), x.rank());
    if (count == 0) {
      return null;
    }
    long[] dims = Layout.rows(x.shape(), count).dims();
    for (int i = 1; i <= 2; i++) {
      if (site.hasInput(i) && (!site.isConstant(i) || site.input(i).length() != dims[1])) {
        return null;
      }
    }
    memory.desc desc = site.session().own(OneDnn.plain(dims));
    primitive_attr none = PostOps.none(site).attr();
    float epsilon = (float) site.head().attrs().getDouble("epsilon", 1e-7);
    layer_normalization_forward.primitive_desc found =
        OneDnn.ask(
            () -> new layer_normalization_forward.primitive_desc(
                new layer_normalization_forward.desc(
                    prop_kind.forward_inference.value, desc, epsilon, normalization_flags.use_scale_shift.value),
                none,
                OneDnn.cpu()));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    memory.desc pair = site.session().own(OneDnn.plain(2, dims[1]));
    memory parameters = site.weights().numbers(site.head().name() + " parameters", pair, () -> parameters(site, (int) dims[1]));
    return context ->
        new Call(site.session(), found, new layer_normalization_forward(found))
            .arg(DNNL_ARG_SRC, desc, x)
            .arg(DNNL_ARG_SCALE_SHIFT, parameters)
            .arg(DNNL_ARG_DST, desc, Results.over(context, x))
            .scratch(context, found)
            .step();
  }

  /** The largest number of each row, by a loop of ours: oneDNN has none that keeps NaN, and ND4J takes ten times as long for one row. */
  static OpMapping max(Site site) {
    INDArray x = site.input(0);
    JsonNode axis = site.head().attrs().json("axis");
    boolean plain = site.isFloat() && axis.isArray() && axis.size() > 0 && site.head().attrs().json("initial").isNull();
    int count = plain ? trailing(axis, x.rank()) : 0;
    if (count == 0 || x.length() > MOST_IN_JAVA) {
      return null;
    }
    int size = Math.toIntExact(Layout.rows(x.shape(), count).dims()[1]);
    boolean keep = site.head().attrs().getBoolean("keepdims", false);
    long[] shape = Arrays.copyOf(x.shape(), keep ? x.rank() : x.rank() - count);
    Arrays.fill(shape, Math.min(shape.length, x.rank() - count), shape.length, 1);
    return context -> {
      FloatBuffer from = ProductCalls.buffer(x);
      FloatBuffer to = ProductCalls.buffer(context.allocate(0, shape));
      float[] row = new float[size];
      return () -> {
        for (int i = 0; i < to.capacity(); i++) {
          from.position(i * size);
          from.get(row);
          to.put(i, max(row));
        }
      };
    };
  }

  private static float max(float[] row) {
    float most = row[0];
    for (int i = 1; i < row.length; i++) {
      most = Math.max(most, row[i]);
    }
    return most;
  }

  private static float[] parameters(Site site, int columns) {
    float[] both = new float[2 * columns];
    Arrays.fill(both, 0, columns, 1);
    for (int i = 1; i <= 2; i++) {
      if (site.hasInput(i)) {
        System.arraycopy(OneDnn.content(site.input(i)), 0, both, (i - 1) * columns, columns);
      }
    }
    return both;
  }

  /** Counts the normalised axes if they are the last ones; 0 if not. */
  private static int trailing(JsonNode axis, int rank) {
    int count = axis.isArray() ? axis.size() : 1;
    boolean[] named = new boolean[rank];
    for (int i = 0; i < count; i++) {
      named[(axis.isArray() ? axis.get(i) : axis).intValue()] = true;
    }
    for (int i = rank - count; i < rank; i++) {
      if (!named[i]) {
        return 0;
      }
    }
    return count;
  }
}
