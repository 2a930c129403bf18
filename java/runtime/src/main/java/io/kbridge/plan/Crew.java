package io.kbridge.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * Threads that share out the work of a call: the calling thread does one part, others do the rest. Between steps they wait awake for a few
 * microseconds, as OpenMP's threads do, then they sleep. Native code that they call uses no further threads.
 */
public final class Crew {
  private static final int SPINS = 2_000;
  private static final ConcurrentLinkedDeque<Helper> IDLE = new ConcurrentLinkedDeque<>();

  private Crew() {}

  /**
   * Does all parts at once, each on one thread; returns when all are done.
   *
   * @param parts the parts, of which the first is done by the calling thread
   */
  public static void share(List<Runnable> parts) {
    Threads.onOne(
        () -> {
          run(parts);
          return null;
        });
  }

  private static void run(List<Runnable> parts) {
    List<Helper> helpers = new ArrayList<>(parts.size() - 1);
    for (Runnable part : parts.subList(1, parts.size())) {
      Helper helper = IDLE.pollFirst();
      helpers.add(helper == null ? new Helper() : helper);
      helpers.get(helpers.size() - 1).give(part);
    }
    try {
      parts.get(0).run();
    } finally {
      helpers.forEach(Helper::await);
    }
    for (Helper helper : helpers) {
      Throwable failure = helper.failure;
      IDLE.addFirst(helper);
      if (failure instanceof Error) {
        throw (Error) failure;
      } else if (failure != null) {
        throw (RuntimeException) failure;
      }
    }
  }

  /**
   * Waits until something is so that another thread will make so.
   *
   * @param condition tells whether it is
   */
  public static void await(BooleanSupplier condition) {
    for (int spins = 0; !condition.getAsBoolean(); spins++) {
      if (spins < SPINS) {
        Thread.onSpinWait();
      } else {
        // NB: whoever is waited for may need this core.
        Thread.yield();
      }
    }
  }

  /** A thread that does one part at a time. */
  private static final class Helper implements Runnable {
    private final Thread thread = new Thread(this, "kbridge step");
    private volatile Runnable part;
    private Throwable failure;

    Helper() {
      thread.setDaemon(true);
      thread.start();
    }

    void give(Runnable given) {
      failure = null;
      part = given;
      LockSupport.unpark(thread);
    }

    void await() {
      Crew.await(() -> part == null);
    }

    @Override
    public void run() {
      Threads.keepToOne();
      for (int spins = 0; ; spins++) {
        Runnable given = part;
        if (given != null) {
          try {
            given.run();
          } catch (RuntimeException | Error e) {
            failure = e;
          } finally {
            part = null;
          }
          spins = 0;
        } else if (spins < SPINS) {
          Thread.onSpinWait();
        } else {
          LockSupport.park(this);
        }
      }
    }
  }
}
