package io.kbridge.plan;

import static io.kbridge.Fixtures.assertFails;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.kbridge.ErrorCode;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.junit.Test;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** What has been compiled when compiling fails goes back to the system. */
public class UnfinishedPlanTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long SIZE = 1 << 20;
  // NB: the whole batch in two ways, the first lane in two ways, the second lane.
  private static final int PLANS = 5;

  private final INDArray x = Nd4j.ones(DataType.FLOAT, 2, SIZE);

  /** Has two ways to compile each plan; one of all plans needs more memory than there is, or its steps do. */
  private static final class Hungry implements Engine {
    private final int hungry;
    private final boolean running;
    private int plans;
    private int open;

    Hungry(int hungry, boolean running) {
      this.hungry = hungry;
      this.running = running;
    }

    @Override
    public Session start() {
      return new Way(true);
    }

    @Override
    public boolean keepsSamplesApart(ModelGraph graph) {
      return true;
    }

    private Step compile(OpContext context, int plan) {
      context.allocate(0, context.input(0).shape());
      if (plan == hungry && !running) {
        context.scratch(DataType.FLOAT, 1L << 50);
      }
      return () -> {
        if (plan == hungry) {
          Arena.growing().allocate(1L << 50);
        }
      };
    }

    private final class Way implements Session {
      private final boolean hasOther;
      private boolean closed;

      Way(boolean hasOther) {
        this.hasOther = hasOther;
        open++;
      }

      @Override
      public OpMapping lower(OpContext context) {
        int plan = ++plans;
        return compiled -> compile(compiled, plan);
      }

      @Override
      public Session alternative() {
        return hasOther ? new Way(false) : null;
      }

      @Override
      public void close() {
        open -= closed ? 0 : 1;
        closed = true;
      }
    }
  }

  private PlanCompiler compiler(Engine engine) {
    ValueInfo in = new ValueInfo("x", new long[] {ValueInfo.ANY, SIZE}, ElementType.FLOAT32);
    ValueInfo out = new ValueInfo("y", new long[] {ValueInfo.ANY, SIZE}, ElementType.FLOAT32);
    ModelGraph.Builder graph = new ModelGraph.Builder("test", JSON.createObjectNode()).input(new GraphInput(in, false));
    graph.node(new GraphNode("y", "Relu", "relu", List.of("x"), new Attributes(JSON.createObjectNode(), "y"), List.of(out)));
    OpRegistry registry = new OpRegistry().op("Relu", context -> null);
    return new PlanCompiler(graph.build(), Map.of(), registry, engine, 2);
  }

  /** Lets what earlier tests have left be given back now, and not while this one counts. */
  private static long settledBytes() throws InterruptedException {
    long bytes;
    do {
      bytes = Pointer.totalBytes();
      System.gc();
      Thread.sleep(50);
    } while (Pointer.totalBytes() != bytes);
    return bytes;
  }

  private void assertNothingStays(Hungry engine) throws InterruptedException {
    PlanCompiler compiler = compiler(engine);
    long before = settledBytes();
    assertFails(ErrorCode.OUT_OF_MEMORY, () -> compiler.compileFastest(Map.of("x", x), List.of("y")), "bytes");
    long kept = Pointer.totalBytes() - before;
    assertTrue(kept + " bytes stay when plan " + engine.hungry + " fails", kept < SIZE);
    assertEquals("sessions that stay open when plan " + engine.hungry + " fails", 0, engine.open);
  }

  @Test
  public void compilingRunsOutOfMemory() throws InterruptedException {
    for (int plan = 1; plan <= PLANS; plan++) {
      assertNothingStays(new Hungry(plan, false));
    }
  }

  @Test
  public void runningForAComparisonRunsOutOfMemory() throws InterruptedException {
    for (int plan = 1; plan <= PLANS; plan++) {
      assertNothingStays(new Hungry(plan, true));
    }
  }

  @Test
  public void whatIsFinishedStaysUntilItIsClosed() throws InterruptedException {
    Hungry engine = new Hungry(0, false);
    long before = settledBytes();
    Plan plan = compiler(engine).compileFastest(Map.of("x", x), List.of("y"));
    assertEquals("ways that were compiled", PLANS, engine.plans);
    assertTrue(Pointer.totalBytes() - before >= 2 * x.length() * Float.BYTES);
    plan.close();
    assertTrue(Pointer.totalBytes() - before < SIZE);
    assertEquals(0, engine.open);
  }
}
