package io.kbridge.samediff;

import static io.kbridge.samediff.Formulas.precise;

import io.kbridge.graph.Subscripts;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;

/**
 * Products of matrices and their generalisations. Each is a product of arrays whose axes have labels: permuted, seen as matrices, multiplied by
 * {@code mmul}. SameDiff's own {@code tensorMmul} has no gradient, it has no {@code einsum}, and its {@code mmul} broadcasts nothing.
 */
public final class ProductOps implements SameDiffMappings {
  /** Makes the family; for the service loader. */
  public ProductOps() {}

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("Matmul", ProductOps::matmul);
    registry.op("Dot", node -> contract(node, Subscripts::dot));
    registry.op("Inner", node -> contract(node, Subscripts::inner));
    registry.op("Outer", ProductOps::outer);
    registry.op("Tensordot", node -> contract(node, (left, right) -> Subscripts.tensordot(node.attrs().json("axes"), left, right)));
    registry.op("Einsum", ProductOps::einsum);
  }

  /** An array with a letter for each axis. */
  private static final class Labelled {
    private final SDVariable x;
    private final String labels;

    Labelled(SDVariable x, String labels) {
      this.x = x;
      this.labels = labels;
    }

    Labelled order(String wanted) {
      return new Labelled(LayoutOps.permute(x, wanted.chars().map(labels::indexOf).toArray()), wanted);
    }

    Labelled sumOut(String keep) {
      String gone = filter(labels, keep, false);
      if (gone.isEmpty()) {
        return this;
      }
      return new Labelled(x.sum(false, gone.chars().map(labels::indexOf).sorted().toArray()), filter(labels, keep, true));
    }
  }

  /** The computation of one node: the size of each label. */
  private static final class Product {
    private final SameDiff sd;
    private final Object[] sizes = new Object[128];

    Product(SameDiff sd) {
      this.sd = sd;
    }

    Labelled operand(SameDiffNode node, int i, String labels, DataType type) {
      Sizes own = node.sizes(i);
      SDVariable x = node.in(i, type);
      StringBuilder kept = new StringBuilder();
      Sizes rest = new Sizes(sd);
      for (int axis = 0; axis < labels.length(); axis++) {
        char label = labels.charAt(axis);
        if (labels.indexOf(label) != axis) {
          throw new Refusal("a diagonal");
        }
        if (Long.valueOf(1).equals(own.get(axis))) {
          // An axis of size 1 goes with any size of the label.
          sizes[label] = sizes[label] == null ? own.get(axis) : sizes[label];
          continue;
        }
        if (sizes[label] == null || !(sizes[label] instanceof Long) || Long.valueOf(1).equals(sizes[label])) {
          sizes[label] = own.get(axis);
        }
        kept.append(label);
        rest.add(own.get(axis));
      }
      return new Labelled(kept.length() == labels.length() ? x : rest.reshape(x), kept.toString());
    }

    Labelled multiply(Labelled a, Labelled b, String wanted) {
      Labelled x = a.sumOut(wanted + b.labels);
      Labelled y = b.sumOut(wanted + a.labels);
      String shared = filter(x.labels, y.labels, true);
      String batch = filter(shared, wanted, true);
      String summed = filter(shared, wanted, false);
      String rows = filter(x.labels, shared, false);
      String columns = filter(y.labels, shared, false);
      SDVariable left = matrices(x.order(batch + rows + summed), batch, rows, summed);
      SDVariable right = matrices(y.order(batch + summed + columns), batch, summed, columns);
      String found = batch + rows + columns;
      return new Labelled(list(found).reshape(sd.mmul(left, right)), found);
    }

    private SDVariable matrices(Labelled x, String batch, String rows, String columns) {
      Sizes shape = new Sizes(sd);
      if (!batch.isEmpty()) {
        shape.add(product(batch));
      }
      if (x.labels.length() == (batch.isEmpty() ? 2 : 3) && rows.length() == 1 && columns.length() == 1) {
        return x.x;
      }
      return shape.add(product(rows)).add(product(columns)).reshape(x.x);
    }

    private Object product(String labels) {
      Sizes all = list(labels);
      return all.product(0, all.count());
    }

    Sizes list(String labels) {
      Sizes list = new Sizes(sd);
      labels.chars().forEach(label -> list.add(sizes[label]));
      return list;
    }

    /** The result with its axes in order, those that no operand has more than one of put back. */
    SDVariable finish(Labelled found, String out) {
      Labelled ordered = found.sumOut(out).order(filter(out, found.labels, true));
      return ordered.labels.equals(out) ? ordered.x : list(out).reshape(ordered.x);
    }
  }

  private static String filter(String a, String b, boolean wanted) {
    StringBuilder kept = new StringBuilder();
    a.chars().filter(label -> b.indexOf(label) >= 0 == wanted).forEach(label -> kept.append((char) label));
    return kept.toString();
  }

  private static void products(SameDiffNode node, List<String> labels, String out) {
    Product product = new Product(node.sd());
    DataType type = node.type().isFPType() ? precise(node.type()) : DataType.DOUBLE;
    List<Labelled> operands = new ArrayList<>();
    for (int i = 0; i < labels.size(); i++) {
      operands.add(product.operand(node, i, labels.get(i), type));
    }
    for (int i = 0; i < out.length(); i++) {
      char label = out.charAt(i);
      if (product.sizes[label] != null && operands.stream().noneMatch(o -> o.labels.indexOf(label) >= 0)) {
        product.sizes[label] = 1L;
      }
    }
    Labelled found = operands.get(0);
    for (int i = 1; i < operands.size(); i++) {
      StringBuilder needed = new StringBuilder(out);
      operands.subList(i + 1, operands.size()).forEach(o -> needed.append(o.labels));
      found = product.multiply(found, operands.get(i), needed.toString());
    }
    node.give(product.finish(found, out));
  }

  private static void matmul(SameDiffNode node) {
    int left = node.rank(0);
    int right = node.rank(1);
    int batch = Math.max(0, Math.max(left, right) - 2);
    String axes = Subscripts.LETTERS.substring(0, batch);
    String a = left == 1 ? "z" : axes.substring(batch - (left - 2)) + "yz";
    String b = right == 1 ? "z" : axes.substring(batch - (right - 2)) + "zx";
    products(node, List.of(a, b), axes + (left == 1 ? "" : "y") + (right == 1 ? "" : "x"));
  }

  private static void outer(SameDiffNode node) {
    SDVariable column = node.sd().reshape(node.in(0, node.type()), -1, 1);
    node.give(column.mul(node.sd().reshape(node.in(1, node.type()), 1, -1)));
  }

  /** NB: a scalar multiplies. */
  private static void contract(SameDiffNode node, BiFunction<Integer, Integer, Subscripts> meeting) {
    if (node.rank(0) == 0 || node.rank(1) == 0) {
      node.give(node.in(0, node.type()).mul(node.in(1, node.type())));
      return;
    }
    Subscripts subscripts = meeting.apply(node.rank(0), node.rank(1));
    products(node, subscripts.operands(), subscripts.result());
  }

  private static void einsum(SameDiffNode node) {
    int[] ranks = IntStream.range(0, node.node().inputs().size()).map(node::rank).toArray();
    Subscripts subscripts = Subscripts.einsum(node.attrs().getString("subscripts"), ranks);
    products(node, subscripts.operands(), subscripts.result());
  }
}
