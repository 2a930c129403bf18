package io.kbridge.plan;

import java.util.ArrayDeque;
import java.util.Deque;

/** What has been made for a plan so far: closed, the last first, unless the plan is finished. */
final class Unfinished implements AutoCloseable {
  private final Deque<Runnable> closing = new ArrayDeque<>();

  Plan add(Plan plan) {
    closing.push(plan::close);
    return plan;
  }

  Arena add(Arena arena) {
    closing.push(arena::close);
    return arena;
  }

  /** Leaves the closing of all that has been made to the plan that it is made for. */
  Plan finish(Plan plan) {
    closing.clear();
    return plan;
  }

  @Override
  public void close() {
    closing.forEach(Runnable::run);
    closing.clear();
  }
}
