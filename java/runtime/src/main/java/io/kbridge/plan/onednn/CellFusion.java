package io.kbridge.plan.onednn;

import io.kbridge.graph.GraphNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Lets the primitives of a cell's products apply the functions that follow, and makes one pass of what is left of two. */
final class CellFusion {
  private static final Set<String> BY_TANH = Set.of("Tanh", "Sigmoid");
  private static final Vectors.Unary HALF_UP = Vectors::halfUp;
  private static final Vectors.Binary GATE = Vectors::gate;

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
    for (Cell.Statement statement : new ArrayList<>(cell.statements())) {
      if (statement instanceof Cell.Apply && ((Cell.Apply) statement).function() == HALF_UP) {
        fuseGate((Cell.Apply) statement);
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
    Cell.Statement user = onlyReader(register);
    return user instanceof Cell.Apply ? (Cell.Apply) user : null;
  }

  private Cell.Statement onlyReader(Register register) {
    List<Cell.Statement> users = new ArrayList<>(cell.statements());
    users.removeIf(statement -> !statement.reads().contains(register));
    boolean kept = cell.next().contains(register) || cell.answers().contains(register);
    return users.size() == 1 && !kept ? users.get(0) : null;
  }

  /** Half of a logistic function, and the only thing that reads it: a product with another register. */
  private void fuseGate(Cell.Apply half) {
    Cell.Statement user = onlyReader(half.z());
    if (!(user instanceof Cell.Combine) || ((Cell.Combine) user).function() != Vectors.MULTIPLY || user.reads().size() < 2) {
      return;
    }
    Cell.Combine product = (Cell.Combine) user;
    Register other = product.x() == half.z() ? product.y() : product.x();
    cell.statements().set(cell.statements().indexOf(user), new Cell.Combine(GATE, half.x(), other, product.z()));
    cell.statements().remove(half);
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
        cell.statements().set(cell.statements().indexOf(user), new Cell.Apply(HALF_UP, user.x(), user.z()));
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
