package io.kbridge.plan.machine;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertTrue;
import static org.junit.Assume.assumeTrue;

import com.sun.jna.Memory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;
import org.junit.Before;
import org.junit.Test;

/** Threads of OpenMP run machine code. */
public class JobsTest {
  private static final int LISTS = 5;
  private static final long PAGE = 4096;

  @Before
  public void codeIsPossible() {
    assumeTrue("this is not Linux on x86-64, or native code uses no OpenMP of GNU's", Jobs.isPossible());
  }

  @Test
  public void eachJobIsDoneOnceInEachRunAndInItsPlace() {
    // NB: more lists than there may be threads; one has no jobs.
    Jobs jobs = new Jobs(LISTS);
    Memory[] numbers = new Memory[LISTS];
    for (int list = 0; list < LISTS - 1; list++) {
      numbers[list] = new Memory(Long.BYTES);
      numbers[list].setLong(0, list);
      jobs.add(list, adding(1), numbers[list]);
      jobs.add(list, adding(2), numbers[list]);
    }
    for (int run = 1; run <= 1000; run++) {
      jobs.run();
      for (int list = 0; list < LISTS - 1; list++) {
        assertEquals(list + 3L * run, numbers[list].getLong(0));
      }
    }
  }

  @Test
  public void jobsMayBeAddedBetweenRuns() {
    Jobs jobs = new Jobs(1);
    Memory number = new Memory(Long.BYTES);
    number.setLong(0, 0);
    jobs.run();
    jobs.add(0, adding(7), number);
    jobs.run();
    jobs.add(0, adding(100), number);
    jobs.run();
    assertEquals(114, number.getLong(0));
  }

  @Test
  public void equalCodeIsThereOnce() {
    MachineCode first = adding(3);
    assertSame(first, adding(3));
    assertNotSame(first, adding(4));
  }

  @Test
  public void codeThatNobodyRefersToIsGivenBack() throws Exception {
    Memory number = new Memory(Long.BYTES);
    number.setLong(0, 0);
    long sum = 0;
    long before = executableBytes();
    for (int i = 0; i < 2000; i++) {
      Jobs jobs = new Jobs(2);
      jobs.add(i % 2, adding(1000 + i), number);
      jobs.run();
      sum += 1000 + i;
    }
    assertEquals(sum, number.getLong(0));
    long end = System.nanoTime() + 20_000_000_000L;
    while (executableBytes() - before > 1000 * PAGE && System.nanoTime() < end) {
      System.gc();
      Thread.sleep(20);
    }
    assertTrue(executableBytes() - before + " bytes", executableBytes() - before <= 1000 * PAGE);
  }

  /** Returns how much memory of no file may be executed and not written: what the JVM compiles may be both. */
  private static long executableBytes() throws IOException {
    long bytes = 0;
    for (String line : Files.readAllLines(Paths.get("/proc/self/maps"))) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ r-xp 0+ 00:00 0 *")) {
        String[] ends = line.split(" ")[0].split("-");
        bytes += Long.parseUnsignedLong(ends[1], 16) - Long.parseUnsignedLong(ends[0], 16);
      }
    }
    return bytes;
  }

  /** Writes a function that adds a number to the one that its argument is the address of. */
  private static MachineCode adding(int number) {
    Assembler code = new Assembler();
    code.read(Assembler.RAX, Assembler.RDI, 0);
    code.add(Assembler.RAX, number);
    code.write(Assembler.RDI, 0, Assembler.RAX);
    code.giveBack();
    return MachineCode.of(code.code());
  }
}
