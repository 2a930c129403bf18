package io.kbridge.plan;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;
import static org.junit.Assume.assumeTrue;

import java.io.File;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.junit.Before;
import org.junit.Test;

/** Threads of OpenMP run code of Java's. */
public class TeamTest {
  @Before
  public void openMpIsThere() {
    assumeTrue("native code here uses no OpenMP of GNU's", Team.isThere());
  }

  @Test
  public void eachPartIsDoneOnceInEachRun() {
    AtomicIntegerArray done = new AtomicIntegerArray(5);
    Team team = new Team(5, done::incrementAndGet);
    for (int run = 1; run <= 1000; run++) {
      team.run();
      for (int part = 0; part < 5; part++) {
        assertEquals(run, done.get(part));
      }
    }
  }

  @Test
  public void theFirstPartIsTheCallers() {
    AtomicReferenceArray<Thread> threads = new AtomicReferenceArray<>(2);
    Team team = new Team(2, part -> threads.set(part, Thread.currentThread()));
    for (int run = 0; run < 100; run++) {
      team.run();
      assertSame(Thread.currentThread(), threads.get(0));
    }
  }

  @Test
  public void aFailureIsTheCallersAndTheNextRunIsAsUsual() {
    int[] runs = new int[1];
    RuntimeException cause = new RuntimeException("no luck");
    Team team =
        new Team(
            2,
            part -> {
              if (part == 1 && runs[0]++ == 0) {
                throw cause;
              }
            });
    assertSame(cause, assertThrows(IllegalStateException.class, team::run).getCause());
    team.run();
    assertEquals(2, runs[0]);
  }

  @Test
  public void threadsEndWithTheOneThatCalledThem() throws InterruptedException {
    int before = 0;
    for (int i = 0; i < 60; i++) {
      Thread caller = new Thread(() -> new Team(2, part -> {}).run());
      caller.start();
      caller.join();
      before = i == 9 ? tasks() : before;
    }
    assertTrue(before + " threads became " + tasks(), tasks() < before + 20);
  }

  private static int tasks() {
    return new File("/proc/self/task").list().length;
  }
}
