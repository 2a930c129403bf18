package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SCRATCHPAD;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;

import io.kbridge.plan.Threads;
import org.bytedeco.dnnl.IntMemoryMap;
import org.bytedeco.dnnl.matmul;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * The products of matrices of Winograd's algorithm, one for each position of a tile, for one thread. They have one set of arguments, which is moved from
 * position to position: sets of their own would be read from memory each time, up to 0.9 us. No thread uses another's: two that execute the same
 * primitive wait for each other, 0.2 to 2 us each time.
 */
final class WinogradProducts {
  private static final int WARMING_RUNS = 1500;
  private static final int WARMING_POSITIONS = 36;
  private static final int WARMING_SIDE = 16;
  private static boolean warm;

  private final stream stream;
  private final matmul primitive;
  private final IntMemoryMap arguments;
  private final memory kernels;
  private final Moved image;
  private final Moved result;
  private final Moved kernel;

  /**
   * Prepares the products.
   *
   * @param session owns everything native
   * @param product one of them, computed by one thread
   * @param images where the tiles are, one matrix after the other
   * @param results where the products go
   * @param kernels the kernels, one after the other, wherever they lie when products are computed
   */
  WinogradProducts(OneDnnSession session, matmul.primitive_desc product, Pointer images, Pointer results, memory kernels) {
    this.stream = session.stream();
    this.primitive = session.own(Threads.onOne(() -> new matmul(product)));
    this.arguments = session.own(new IntMemoryMap());
    this.kernels = kernels;
    this.image = new Moved(session, DNNL_ARG_SRC, session.own(product.src_desc()), images);
    this.result = new Moved(session, DNNL_ARG_DST, session.own(product.dst_desc()), results);
    this.kernel = new Moved(session, DNNL_ARG_WEIGHTS, session.own(product.weights_desc()), null);
  }

  /**
   * Computes some small products, until the JVM has compiled what calls them: interpreted, that takes longer than they do. Once.
   *
   * @param session owns what is needed
   */
  static synchronized void warmUp(OneDnnSession session) {
    if (warm) {
      return;
    }
    warm = true;
    long all = (long) WARMING_POSITIONS * WARMING_SIDE * WARMING_SIDE;
    memory.desc square = session.own(OneDnn.plain(WARMING_SIDE, WARMING_SIDE));
    matmul.desc desc = session.own(new matmul.desc(square, square, square));
    matmul.primitive_desc product = session.own(Threads.onOne(() -> new matmul.primitive_desc(desc, OneDnn.cpu())));
    try (FloatPointer numbers = new FloatPointer(all)) {
      Pointer.memset(numbers, 0, all * Float.BYTES);
      memory kernels = session.own(new memory(session.own(OneDnn.plain(all)), OneDnn.cpu(), numbers));
      WinogradProducts products = new WinogradProducts(session, product, numbers, numbers, kernels);
      for (int i = 0; i < WARMING_RUNS; i++) {
        products.run(0, WARMING_POSITIONS);
      }
    }
  }

  /** Lets them have some memory meanwhile. */
  void scratch(memory memory) {
    arguments.put(DNNL_ARG_SCRATCHPAD, memory);
  }

  /** Computes the products of some positions. */
  void run(int from, int to) {
    kernel.start = new BytePointer(kernels.get_data_handle());
    for (int position = from; position < to; position++) {
      image.move(position);
      result.move(position);
      kernel.move(position);
      primitive.execute(stream, arguments);
    }
  }

  /** An argument that lies at another place for each position. */
  private final class Moved {
    private final memory memory;
    private final long bytes;
    private BytePointer start;

    Moved(OneDnnSession session, int argument, memory.desc desc, Pointer start) {
      this.bytes = desc.get_size();
      this.start = start == null ? null : new BytePointer(start);
      // NB: only as many bytes, because oneDNN writes the zeros behind what is no whole block of a layout again whenever memory is moved.
      memory.desc plain = session.own(OneDnn.plain(bytes / Float.BYTES));
      this.memory = session.own(new memory(plain, OneDnn.cpu(), start));
      arguments.put(argument, memory);
    }

    void move(int position) {
      memory.set_data_handle(start.position(position * bytes));
    }
  }
}
