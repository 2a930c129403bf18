import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.kbridge.ErrorCode;
import io.kbridge.ExportReport;
import io.kbridge.KBridge;
import io.kbridge.KBridgeException;
import io.kbridge.KBridgeModel;
import io.kbridge.KBridgePython;
import io.kbridge.LoadOptions;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * A service that never stops to change its model: it is sent a Keras file, has Python make a bundle of it, tests that bundle here against
 * the answers that Keras gave, and only then answers with it. A model that fails at any of these leaves the one before in place.
 *
 * <pre>
 * curl --data-binary @model.keras http://127.0.0.1:PORT/model
 * curl --data '1.0 2.0 3.0 4.0'   http://127.0.0.1:PORT/predict     # one sample of a model with one input
 * </pre>
 */
public final class ModelService implements AutoCloseable {
  private final AtomicReference<KBridgeModel> current = new AtomicReference<>();
  private final KBridgePython python = KBridgePython.create();
  private final Path folder;
  private final LoadOptions options;
  private final HttpServer server;
  private int received;

  /** Starts on a free port of the loopback interface. */
  ModelService(Path folder, String device) throws IOException {
    this.folder = folder;
    this.options = LoadOptions.builder().device(device).build();
    this.server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/model", exchange -> answer(exchange, () -> swap(exchange)));
    server.createContext("/predict", exchange -> answer(exchange, () -> predict(exchange)));
    server.setExecutor(Executors.newFixedThreadPool(4));
    server.start();
  }

  /** Takes a new model into service; one at a time, while others predict. */
  private synchronized String swap(HttpExchange exchange) throws IOException {
    int number = ++received;
    Path source = folder.resolve("model" + number + ".keras");
    Files.copy(exchange.getRequestBody(), source, StandardCopyOption.REPLACE_EXISTING);
    ExportReport report = python.export(source, folder.resolve("model" + number + ".h5"));
    KBridgeModel next = KBridge.load(report.bundle(), options);
    try {
      next.selfTest().orThrow();
    } catch (KBridgeException e) {
      next.close();
      throw e;
    }
    KBridgeModel before = current.getAndSet(next);
    if (before != null) {
      before.close(); // waits for the predictions that run
    }
    return "now " + report.model() + ", " + report.operations() + " operations\n";
  }

  private String predict(HttpExchange exchange) throws IOException {
    String text = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    float[] numbers = toFloats(Arrays.stream(text.trim().split("\\s+")).mapToDouble(Double::parseDouble).toArray());
    while (true) {
      KBridgeModel model = current.get();
      if (model == null) {
        throw new KBridgeException(ErrorCode.INVALID_INPUT, "Expected a model to be in service. Received: none yet. POST one to /model.");
      }
      try {
        long[] shape = model.inputs().values().iterator().next().shape().clone();
        shape[0] = 1;
        INDArray output = model.predict(Nd4j.createFromArray(numbers).reshape(shape));
        return Arrays.stream(output.toDoubleVector()).mapToObj(Double::toString).collect(Collectors.joining(" ", "", "\n"));
      } catch (IllegalStateException e) {
        if (model == current.get()) {
          throw e;
        } // It was swapped and closed in between: the new one answers.
      }
    }
  }

  private static float[] toFloats(double[] numbers) {
    float[] floats = new float[numbers.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) numbers[i];
    }
    return floats;
  }

  private interface Work {
    String run() throws IOException;
  }

  private static void answer(HttpExchange exchange, Work work) throws IOException {
    int status = 200;
    String text;
    try {
      text = work.run();
    } catch (KBridgeException e) {
      status = 422;
      text = e.code() + ": " + e.getMessage() + "\n";
    } catch (RuntimeException e) {
      status = 400;
      text = e + "\n";
    }
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  @Override
  public void close() {
    server.stop(1);
    python.close();
    KBridgeModel last = current.getAndSet(null);
    if (last != null) {
      last.close();
    }
  }

  /**
   * Serves until the standard input ends.
   *
   * @param args the folder for the files that it receives and makes, and what to compute on: auto (the default), cpu, gpu, gpu:1 ...
   */
  public static void main(String[] args) throws IOException {
    try (ModelService service = new ModelService(Path.of(args[0]), args.length > 1 ? args[1] : "auto")) {
      System.out.println("listening on port " + service.server.getAddress().getPort());
      while (System.in.read() >= 0) {
        continue;
      }
    }
    System.exit(0); // the pool's threads are no daemons
  }
}
