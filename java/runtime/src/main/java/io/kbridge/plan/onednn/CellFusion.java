package io.kbridge.plan.onednn;

import io.kbridge.graph.GraphNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Lets the primitives of a cell's products apply the functions that follow. */
final class CellFusion {
  private static final Set<String> BY_TANH = Set.of("Tanh", "Sigmoid");

  private final Cell cell;
  private final Map<Cell.Apply, GraphNode> functions;

  /**
   * Starts on a cell.
   *
   * @param cell the cell
   * @param functions its statements about one register, and the nodes they came from
   */
  CellFusion(Cell cell, Map<Cell.Apply, GraphNode> functions) {
    this.cell = cell;
    this.functions = functions;
  }

  /** Changes the cell; returns false if a function is left that has no loop. */
  boolean run() {
    for (Cell.Statement statement : new ArrayList<>(cell.statements())) {
      if (statement instanceof Cell.Multiply) {
        fuse(((Cell.Multiply) statement).products());
      }
    }
    return functions.entrySet().stream()
        .allMatch(entry -> !cell.statements().contains(entry.getKey()) || CellReader.hasLoop(entry.getValue()));
  }

  private void fuse(Products products) {
    List<Cell.Apply> users = new ArrayList<>();
    for (Register result : products.results()) {
      Cell.Apply user = onlyUser(result);
      if (user == null) {
        return;
      }
      users.add(user);
    }
    if (users.stream().allMatch(user -> BY_TANH.contains(functions.get(user).op()))) {
      fuseTanh(products, users);
    } else {
      fuseSame(products, users);
    }
  }

  private Cell.Apply onlyUser(Register register) {
    List<Cell.Statement> users = new ArrayList<>(cell.statements());
    users.removeIf(statement -> !statement.reads().contains(register));
    boolean kept = cell.next().contains(register) || cell.answers().contains(register);
    return users.size() == 1 && !kept && users.get(0) instanceof Cell.Apply ? (Cell.Apply) users.get(0) : null;
  }

  /** The logistic function is tanh of half the argument, and halves are exact. */
  private void fuseTanh(Products products, List<Cell.Apply> users) {
    float[] factors = new float[users.size()];
    for (int i = 0; i < factors.length; i++) {
      Cell.Apply user = users.get(i);
      boolean isTanh = functions.get(user).op().equals("Tanh");
      factors[i] = isTanh ? 1 : 0.5f;
      if (isTanh) {
        remove(products, i, user);
      } else {
        cell.statements().set(cell.statements().indexOf(user), new Cell.Apply(Vectors::halfUp, user.x(), user.z()));
      }
    }
    products.apply(Eltwise.tanh(), factors);
  }

  private void fuseSame(Products products, List<Cell.Apply> users) {
    GraphNode first = functions.get(users.get(0));
    List<Eltwise> function = Eltwise.of(first);
    for (Cell.Apply user : users) {
      GraphNode node = functions.get(user);
      if (!node.op().equals(first.op()) || !node.attrs().json().equals(first.attrs().json())) {
        return;
      }
    }
    if (function != null && function.size() == 1) {
      for (int i = 0; i < users.size(); i++) {
        remove(products, i, users.get(i));
      }
      products.apply(function.get(0), null);
    }
  }

  private void remove(Products products, int i, Cell.Apply user) {
    products.result(i, user.z());
    cell.statements().remove(user);
  }
}
