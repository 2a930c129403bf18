package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_BIAS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.algorithm;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.bytedeco.dnnl.convolution_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A convolution of images with eight channels or fewer, two neighbouring pixels at a time. In memory an image of such pairs, with twice the
 * channels, is the same image; its kernel has some zeros more, but its rows fill a vector of sixteen numbers, of which half would be idle.
 */
final class Pairs {
  private static final long FEW = 8;
  /** Faster than what comes first; with two channels it takes two thirds of the time. */
  private static final String PREFERRED = "convolution jit:avx512_common";

  private final Site site;
  private final INDArray x;
  private final INDArray w;
  private final Window window;
  private final Affine affine;
  private final long[] shape;
  private final Layout from;
  private final Layout to;
  private final long[] kernel;

  private Pairs(Site site, INDArray x, INDArray w, Window window, Affine affine) {
    this.site = site;
    this.x = x;
    this.w = w;
    this.window = window;
    this.affine = affine;
    this.shape = window.shape(x.size(0), w.size(3));
    this.from = Layout.spatial(paired(x.shape()), true);
    this.to = Layout.spatial(paired(shape), true);
    this.kernel = new long[] {w.size(0), (w.size(1) + 1) / 2, 2 * w.size(2), 2 * w.size(3)};
  }

  /**
   * Finds the primitive.
   *
   * @param site the chain
   * @param x the images
   * @param w the kernel
   * @param window where it lies
   * @param affine what goes into the kernel and the bias
   * @return what compiles it, or null if it has to be done pixel by pixel
   */
  static OpMapping lower(Site site, INDArray x, INDArray w, Window window, Affine affine) {
    return suits(site, x, w, window, affine) ? new Pairs(site, x, w, window, affine).lower() : null;
  }

  private static boolean suits(Site site, INDArray x, INDArray w, Window window, Affine affine) {
    if (!OneDnn.hasWideVectors() || !site.isConstant(1) || !window.channelsLast() || x.rank() != 4 || w.size(2) != x.size(3)) {
      return false;
    }
    boolean few = w.size(2) <= FEW && w.size(3) <= FEW && 2 * w.size(3) > FEW;
    boolean whole = x.size(2) % 2 == 0 && w.size(1) % 2 == 1 && w.size(1) > 1 && window.before()[1] == 0 && window.after()[1] == 0;
    boolean dense = window.strides()[1] == 1 && window.gaps()[1] == 0;
    boolean plain =
        site.session().numbers(site.chain().source()) == Numbers.FLOAT && site.session().numbers(site.result()) == Numbers.FLOAT
            && !site.isBlocked(site.chain().source()) && !site.isBlocked(site.result());
    return few && whole && dense && plain
        && site.chain().links().stream().skip(affine.links()).allMatch(link -> Eltwise.of(link) != null);
  }

  private static long[] paired(long[] image) {
    return new long[] {image[0], image[1], image[2] / 2, 2 * image[3]};
  }

  private OpMapping lower() {
    PostOps post = PostOps.of(site, to, affine.links(), false);
    if (post == null) {
      return null;
    }
    primitive_attr attr = post.attr();
    convolution_forward.primitive_desc preferred = OneDnn.ask(() -> describe(attr, true));
    convolution_forward.primitive_desc found = preferred == null ? OneDnn.ask(() -> describe(attr, false)) : preferred;
    if (found == null) {
      return null;
    }
    site.session().own(found);
    return context -> compile(context, found, post);
  }

  private convolution_forward.primitive_desc describe(primitive_attr attr, boolean preferred) {
    memory.desc rows = OneDnn.any(ConvolutionGradient.kernelDims(kernel, 1, false));
    convolution_forward.desc desc = site.session().own(window.convolution(algorithm.convolution_direct, from.desc(), rows, bias(), to.desc()));
    convolution_forward.primitive_desc found = new convolution_forward.primitive_desc(desc, attr, OneDnn.cpu());
    return !preferred || OneDnn.seek(found, PREFERRED) ? found : null;
  }

  private memory.desc bias() {
    return affine.shifts() ? site.session().own(OneDnn.plain(kernel[3])) : null;
  }

  private Step compile(OpContext context, convolution_forward.primitive_desc found, PostOps post) {
    OneDnnSession session = site.session();
    INDArray z = context.allocate(0, shape);
    Call call = new Call(session, found, new convolution_forward(found));
    call.arg(DNNL_ARG_SRC, session.own(from.desc()), x).arg(DNNL_ARG_DST, session.own(to.desc()), z);
    memory.desc wanted = session.own(found.weights_desc());
    memory.desc given =
        session.own(
            OneDnn.strided(ConvolutionGradient.kernelDims(kernel, 1, false), ConvolutionGradient.kernelStrides(kernel, 1, false)));
    String key = site.head().inputs().get(1) + " in pairs " + site.key(affine.links());
    call.arg(DNNL_ARG_WEIGHTS, site.weights().packed(key, wanted, given, () -> new FloatPointer(content())));
    memory.desc bias = bias();
    if (bias != null) {
      call.arg(DNNL_ARG_BIAS, site.weights().numbers(site.key(affine.links()) + " shift of pairs", bias, this::shift));
    }
    post.bind(context, call);
    return call.scratch(context, found).step();
  }

  private float[] shift() {
    float[] one = affine.shift();
    float[] both = Arrays.copyOf(one, 2 * one.length);
    System.arraycopy(one, 0, both, one.length, one.length);
    return both;
  }

  /** Returns the kernel for pairs: a pixel of the result reads those of the two or more pairs that lie under its own kernel. */
  private float[] content() {
    float[] single = affine.scales() ? affine.scaled(OneDnn.content(w)) : OneDnn.content(w);
    int columns = (int) w.size(1);
    int channels = (int) w.size(2);
    int filters = (int) w.size(3);
    int pairs = (int) kernel[1];
    float[] paired = new float[(int) (kernel[0] * kernel[1] * kernel[2] * kernel[3])];
    for (int row = 0; row < kernel[0]; row++) {
      for (int from = 0; from < 2 * pairs; from++) {
        for (int into = 0; into < 2; into++) {
          int column = from - into;
          for (int channel = 0; column >= 0 && column < columns && channel < channels; channel++) {
            int source = ((row * columns + column) * channels + channel) * filters;
            System.arraycopy(single, source, paired, (((row * 2 * pairs + from) * channels + channel) * 2 + into) * filters, filters);
          }
        }
      }
    }
    return paired;
  }
}
