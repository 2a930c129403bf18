package bench;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

/** Times one engine for benchmarks/harness.py: commands come by stdin, one a line; replies go to stdout. The Python twin is worker.py. */
public final class Worker {
  private static final String MARK = "@@ ";
  private static final double WAKE_NS = 20e6;
  private static final double LONG_NS = 500e6;

  private static long lastNs;

  private Worker() {}

  /** Arguments: engine class, its variant or "-", model file, threads. */
  public static void main(String[] args) {
    // NB: the libraries' own threads would keep the process, whichever way this ends.
    try {
      serve(args);
      System.exit(0);
    } catch (Throwable e) {
      e.printStackTrace();
      System.exit(1);
    }
  }

  private static void serve(String[] args) throws Exception {
    // NB: libraries print to stdout, too; replies are the lines that start with the mark.
    PrintStream replies = System.out;
    System.setOut(System.err);
    long start = System.nanoTime();
    Engine engine = engine(args[0], args[1]);
    engine.load(Paths.get(args[2]), Integer.parseInt(args[3]));
    double seconds = (System.nanoTime() - start) / 1e9;
    reply(replies, "{\"load_s\": " + seconds + ", \"version\": \"" + engine.version() + "\"}");
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      reply(replies, run(engine, line.split("\t")));
    }
  }

  private static Engine engine(String name, String variant) throws ReflectiveOperationException {
    Class<?> found = Class.forName("bench." + name);
    return variant.equals("-")
        ? (Engine) found.getDeclaredConstructor().newInstance()
        : (Engine) found.getDeclaredConstructor(String.class).newInstance(variant);
  }

  private static String run(Engine engine, String[] command) throws Exception {
    switch (command[0]) {
      case "input":
        engine.input(read(Paths.get(command[1])), shape(command[2]));
        return "{}";
      case "labels":
        engine.labels(read(Paths.get(command[1])), shape(command[2]));
        return "{}";
      case "output":
        long start = System.nanoTime();
        engine.call();
        lastNs = System.nanoTime() - start;
        double seconds = lastNs / 1e9;
        Engine.Answer answer = engine.answer();
        write(Paths.get(command[1]), answer.data);
        return "{\"shape\": " + Arrays.toString(answer.shape) + ", \"first_s\": " + seconds + "}";
      case "block":
        return "{\"ns\": " + block(engine, Double.parseDouble(command[1]), Integer.parseInt(command[2])) + "}";
      default:
        throw new IllegalArgumentException("Expected input, labels, output or block. Received: " + command[0] + ".");
    }
  }

  private static long[] shape(String text) {
    return Arrays.stream(text.split(",")).mapToLong(Long::parseLong).toArray();
  }

  private static String block(Engine engine, double seconds, int least) throws Exception {
    // Threads that went to sleep in the pause wake up here; that is not counted. Beside a long call it is nothing.
    long woken = System.nanoTime();
    while (lastNs < LONG_NS && System.nanoTime() - woken < WAKE_NS) {
      engine.call();
    }
    long[] times = new long[1024];
    int count = 0;
    long end = System.nanoTime() + (long) (seconds * 1e9);
    long before = System.nanoTime();
    while (before < end || count < least) {
      engine.call();
      long after = System.nanoTime();
      if (count == times.length) {
        times = Arrays.copyOf(times, 2 * count);
      }
      lastNs = after - before;
      times[count++] = lastNs;
      before = System.nanoTime();
    }
    return Arrays.toString(Arrays.copyOf(times, count));
  }

  private static ByteBuffer read(Path file) throws Exception {
    try (FileChannel channel = FileChannel.open(file)) {
      ByteBuffer data = ByteBuffer.allocateDirect(Math.toIntExact(channel.size())).order(ByteOrder.nativeOrder());
      while (data.hasRemaining()) {
        channel.read(data);
      }
      data.flip();
      return data;
    }
  }

  private static void write(Path file, ByteBuffer data) throws Exception {
    ByteBuffer left = data.duplicate();
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      while (left.hasRemaining()) {
        channel.write(left);
      }
    }
  }

  private static void reply(PrintStream replies, String json) {
    replies.println(MARK + json);
    replies.flush();
  }
}
