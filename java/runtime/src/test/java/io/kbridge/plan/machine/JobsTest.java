package io.kbridge.plan.machine;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertSame;
import static org.junit.Assume.assumeTrue;

import com.sun.jna.Memory;
import org.junit.Before;
import org.junit.Test;

/** Threads of OpenMP run machine code. */
public class JobsTest {
  private static final int LISTS = 5;

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
  public void codeThatNobodyRefersToIsGivenBack() throws InterruptedException {
    Memory number = new Memory(Long.BYTES);
    number.setLong(0, 0);
    long sum = 0;
    for (int i = 0; i < 2000; i++) {
      Jobs jobs = new Jobs(2);
      jobs.add(i % 2, adding(i), number);
      jobs.run();
      sum += i;
      if (i % 500 == 0) {
        System.gc();
        Thread.sleep(20);
      }
    }
    assertEquals(sum, number.getLong(0));
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
