package io.kbridge.plan.machine;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;
import static org.junit.Assume.assumeTrue;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import org.junit.Before;
import org.junit.Test;

/** Programs compute what they say, for all rows, and write nothing else. */
public class RowProgramTest {
  private static final int ROWS = 3;
  private static final int VECTORS = 2;
  private static final int WIDTH = VECTORS * PanelShape.VECTOR;

  @Before
  public void codeIsPossible() throws IOException {
    assumeTrue("this is not Linux on x86-64, or code is not allowed", MachineCode.isPossible());
    assumeTrue("this processor has no AVX-512", Files.readString(Paths.get("/proc/cpuinfo")).contains("avx512f"));
  }

  @Test
  public void functions() {
    check(RowProgram::tanh, Math::tanh);
    check(RowProgram::sigmoid, x -> 1 / (1 + Math.exp(-x)));
    check(RowProgram::relu, x -> x > 0 || Double.isNaN(x) ? x : 0);
    check(RowProgram::hardSigmoid, x -> Double.isNaN(x) ? x : Math.max(0, Math.min(1, x / 6 + 0.5)));
  }

  /** A function of one value. */
  private interface Unary {
    int add(RowProgram program, int x);
  }

  private static void check(Unary function, DoubleUnaryOperator wanted) {
    float[] x = numbers(1);
    float[] ends = {0f, -0f, 1e-30f, -1e-6f, 3f, -3f, 9f, -9.5f, 88f, -88f, 1e30f, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN};
    System.arraycopy(ends, 0, x, 0, ends.length);
    RowProgram program = new RowProgram(ROWS, VECTORS);
    int from = program.array(WIDTH * Float.BYTES);
    int to = program.array(WIDTH * Float.BYTES);
    program.write(to, 0, function.add(program, program.read(from, 0)));
    assertTrue(program.isPossible());
    Memory given = memory(x);
    Memory result = new Memory((long) x.length * Float.BYTES);
    run(program, given, result);
    for (int i = 0; i < x.length; i++) {
      double expected = wanted.applyAsDouble(x[i]);
      assertEquals("of " + x[i], expected, result.getFloat((long) i * Float.BYTES), 1e-6 * Math.max(Math.abs(expected), 0.1));
    }
  }

  @Test
  public void columnsOfAWiderArrayAndTheSameRowAgainAndAgain() {
    float[] both = Arrays.copyOf(numbers(2), 2 * ROWS * WIDTH);
    System.arraycopy(numbers(3), 0, both, ROWS * WIDTH, ROWS * WIDTH);
    float[] row = Arrays.copyOf(numbers(4), WIDTH);
    RowProgram program = new RowProgram(ROWS, VECTORS);
    int columns = program.array(2 * WIDTH * Float.BYTES);
    int repeated = program.array(0);
    int x = program.read(columns, 0);
    int y = program.read(columns, WIDTH * Float.BYTES);
    int z = program.multiply(program.subtract(program.read(repeated, 0), x), program.add(y, y));
    // NB: in place of what has been read.
    program.write(columns, WIDTH * Float.BYTES, z);
    Memory memory = memory(both);
    run(program, memory, memory(row));
    float[] expected = both.clone();
    for (int r = 0; r < ROWS; r++) {
      for (int i = 0; i < WIDTH; i++) {
        int at = 2 * r * WIDTH + i;
        expected[at + WIDTH] = (row[i] - both[at]) * (both[at + WIDTH] + both[at + WIDTH]);
      }
    }
    assertArrayEquals(expected, memory.getFloatArray(0, expected.length), 0);
  }

  @Test
  public void allRegistersAndNoMore() {
    assertTrue(sumOf(RowCode.VALUES).isPossible());
    assertFalse(sumOf(RowCode.VALUES + 1).isPossible());
    RowProgram program = sumOf(RowCode.VALUES);
    float[] x = numbers(5);
    Memory result = new Memory((long) x.length * Float.BYTES);
    run(program, memory(x), result);
    for (int i = 0; i < x.length; i++) {
      float sum = x[i];
      for (int k = 1; k < RowCode.VALUES; k++) {
        sum += x[i];
      }
      assertEquals(sum, result.getFloat((long) i * Float.BYTES), 0);
    }
    assertFalse(withArrays(RowProgram.MOST_ARRAYS + 1).isPossible());
    assertTrue(withArrays(RowProgram.MOST_ARRAYS).isPossible());
  }

  private static RowProgram sumOf(int count) {
    RowProgram program = new RowProgram(ROWS, VECTORS);
    int from = program.array(WIDTH * Float.BYTES);
    int to = program.array(WIDTH * Float.BYTES);
    int[] values = new int[count];
    for (int i = 0; i < count; i++) {
      values[i] = program.read(from, 0);
    }
    int sum = values[0];
    for (int i = 1; i < count; i++) {
      sum = program.add(sum, values[i]);
    }
    program.write(to, 0, sum);
    return program;
  }

  private static RowProgram withArrays(int count) {
    RowProgram program = new RowProgram(ROWS, VECTORS);
    for (int i = 0; i < count; i++) {
      program.write(program.array(WIDTH * Float.BYTES), 0, program.read(0, 0));
    }
    return program;
  }

  private static float[] numbers(int seed) {
    Random random = new Random(seed);
    float[] numbers = new float[ROWS * WIDTH];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) (4 * random.nextGaussian());
    }
    return numbers;
  }

  private static Memory memory(float[] numbers) {
    Memory memory = new Memory((long) numbers.length * Float.BYTES);
    memory.write(0, numbers, 0, numbers.length);
    return memory;
  }

  private static void run(RowProgram program, Memory... arrays) {
    long[] addresses = Arrays.stream(arrays).mapToLong(Pointer::nativeValue).toArray();
    new RowFunction(program, addresses, (Object[]) arrays).run();
  }
}
