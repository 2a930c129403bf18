package io.kbridge.plan.onednn;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Threads;
import io.kbridge.plan.machine.Cut;
import io.kbridge.plan.machine.Jobs;
import io.kbridge.plan.machine.PanelShape;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.bytedeco.dnnl.memory;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A convolution by one form of Winograd's algorithm, in machine code of ours: transforms of images and results, and between them products of matrices, one for
 * each number of a tile. oneDNN's own code for the algorithm wants channels in blocks, and is for kernels of 3x3 only. It transforms an image as a whole, and
 * writes what does not fit into the caches past them; its products wait for kernels.
 */
final class Winograd {
  // NB: Java's buffers count in int.
  private static final long MOST_NUMBERS = 1L << 29;
  // NB: from one group of channels in blocks to the next is a distance that an instruction has to have room for.
  private static final long MOST_PIXELS = Integer.MAX_VALUE / (PanelShape.VECTOR * Float.BYTES);
  // NB: fewer take no time worth a trial.
  private static final long FEW_PRODUCTS = 1L << 19;
  private static final int POOL = 2;
  private static final long[] SQUARE = {POOL, POOL};

  private final Site site;
  private final INDArray w;
  private final Tiles tiles;
  private final Affine affine;

  private Winograd(Site site, INDArray w, Tiles tiles, Affine affine) {
    this.site = site;
    this.w = w;
    this.tiles = tiles;
    this.affine = affine;
  }

  /**
   * Finds the products, in all forms of the algorithm that fit.
   *
   * @param site the chain of a convolution with strides of one
   * @param x the images
   * @param w the kernel
   * @param window where it lies
   * @param affine what goes into the kernel and the shift
   * @return the ways to compute it, those with the largest tiles first; none if it has to be computed in another one
   */
  static List<Winograd> find(Site site, INDArray x, INDArray w, Window window, Affine affine) {
    List<Winograd> found = new ArrayList<>();
    if (cut(site, affine) == null || !OneDnn.hasWideVectors() || !Jobs.isPossible()) {
      return found;
    }
    for (WinogradForm form : site.session().forms()) {
      Winograd way = form.fits(window.sizes()) ? find(form, site, x, w, window, affine) : null;
      if (way != null) {
        found.add(way);
      }
    }
    return found;
  }

  private static Winograd find(WinogradForm form, Site site, INDArray x, INDArray w, Window window, Affine affine) {
    long[] shape = window.shape(x.size(0), w.size(3));
    int pool = pool(site);
    if (form.down().side() % pool != 0 || form.across().side() % pool != 0 || !fits(site, shape, pool)) {
      return null;
    }
    Tiles tiles = new Tiles(form, x.shape(), shape, window.before(), pool, Threads.allowed());
    Winograd found = new Winograd(site, w, tiles, affine);
    boolean fits = Math.max(found.kernelBytes() / Float.BYTES, Math.max(tiles.spread(), tiles.products())) < MOST_NUMBERS;
    long pixels = Math.max(tiles.height() * (long) tiles.width(), shape[1] * shape[2]);
    return fits && pixels <= MOST_PIXELS ? found : null;
  }

  /** Returns how many rows and columns a window has of the pooling that the chain ends with; 1 if it does not. */
  private static int pool(Site site) {
    List<GraphNode> links = site.chain().links();
    return !links.isEmpty() && isPool(links.get(links.size() - 1)) ? POOL : 1;
  }

  /** Tells whether a node is a pooling that can follow in a chain: for the largest number of 2x2, with windows side by side. */
  static boolean isPool(GraphNode node) {
    return node.op().equals("MaxPool")
        && node.attrs().getString("data_format", "channels_last").equals("channels_last")
        && Arrays.equals(node.attrs().getLongs("pool_size"), SQUARE)
        && (!node.attrs().has("strides") || Arrays.equals(node.attrs().getLongs("strides"), SQUARE));
  }

  /** Tells whether a chain with a pooling gives as much as there are whole windows. */
  private static boolean fits(Site site, long[] shape, int pool) {
    List<GraphNode> links = site.chain().links();
    boolean whole = shape[1] % pool == 0 && shape[2] % pool == 0;
    return pool == 1 || whole || links.get(links.size() - 1).attrs().getString("padding", "valid").equals("valid") && Math.min(shape[1], shape[2]) >= pool;
  }

  /** Returns how many links there are before the pooling. */
  private static int functions(Site site) {
    return site.chain().links().size() - (pool(site) > 1 ? 1 : 0);
  }

  /** Returns what is left of the chain, before a pooling; null if machine code of ours does not know it. */
  private static Cut cut(Site site, Affine affine) {
    return Cuts.of(site, affine.links(), functions(site));
  }

  WinogradForm form() {
    return tiles.form();
  }

  /** Tells whether it may be the fastest way, and takes long enough to find out. */
  boolean isPlausible() {
    long count = tiles.allTiles();
    return form().isPlausible(Math.toIntExact(count)) && tiles.multiplied() >= FEW_PRODUCTS * tiles.threads() * tiles.threads();
  }

  @Override
  public String toString() {
    return tiles.form().toString();
  }

  /** Returns the same without a pooling. */
  Winograd alone() {
    return pools() ? new Winograd(site, w, tiles.alone(), affine) : this;
  }

  /** Tells whether a pooling is part of it. */
  boolean pools() {
    return tiles.pool() > 1;
  }

  /** Returns how many bytes the kernels take. */
  long kernelBytes() {
    return Float.BYTES * (long) form().positions() * tiles.channels() * tiles.filters();
  }

  /** Returns how many bytes of memory a thread needs that computes something by itself. */
  long scratchBytes() {
    return WinogradWork.bytes(tiles);
  }

  /** Returns how many threads need that. */
  int threads() {
    return tiles.apart() ? tiles.threads() : 1;
  }

  /** Returns what compiles it. */
  OpMapping mapping(INDArray x) {
    return context -> {
      INDArray z = context.allocate(0, tiles.resultShape());
      boolean blockedIn = site.isBlocked(site.chain().source());
      IntFunction<BytePointer> scratch = thread -> new BytePointer(NativeArrays.borrowed(context.scratchOf(thread, scratchBytes())));
      return step(blockedIn, site.isBlocked(site.result()), scratch, NativeArrays.address(x), NativeArrays.address(z), kernels());
    };
  }

  /**
   * Makes the step.
   *
   * @param blockedIn whether the channels of the images lie in blocks
   * @param blockedOut whether those of the result do
   * @param scratch gives memory to a thread
   * @param x where the images are
   * @param z where the result goes
   * @param kernels the kernels of all positions, one after the other
   */
  WinogradStep step(boolean blockedIn, boolean blockedOut, IntFunction<BytePointer> scratch, long x, long z, memory kernels) {
    List<BytePointer> own = IntStream.range(0, threads()).mapToObj(scratch).collect(Collectors.toList());
    return new WinogradWork(tiles, blockedIn, blockedOut, affine.shift(), cut(site, affine)).step(own, x, z, kernels);
  }

  /** Lets the kernels be anything in some memory, where all of them have room. */
  memory kernelsAt(OneDnnSession session, Pointer start) {
    return session.own(new memory(session.own(OneDnn.plain(kernelBytes() / Float.BYTES)), OneDnn.cpu(), start));
  }

  private memory kernels() {
    String key = site.head().inputs().get(1) + (affine.scales() ? " scaled " + site.key(affine.links()) : "") + " for " + form();
    WinogradForm form = form();
    INDArray content = w;
    Affine factors = affine;
    return site.weights().filled(key, site.session().own(OneDnn.plain(kernelBytes() / Float.BYTES)), into -> pack(form, content, factors, into));
  }

  /** Packs the kernels of all positions, in panels. */
  private static void pack(WinogradForm form, INDArray w, Affine affine, memory into) {
    long numbers = w.size(2) * w.size(3);
    try (FloatPointer start = new FloatPointer(into.get_data_handle())) {
      FloatBuffer packed = start.capacity(form.positions() * numbers).asBuffer();
      for (int position = 0; position < form.positions(); position++) {
        Panel.pack(WinogradKernel.transform(form, w, affine, position), Math.toIntExact(w.size(2)), packed);
      }
    }
  }
}
