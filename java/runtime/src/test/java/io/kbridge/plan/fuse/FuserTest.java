package io.kbridge.plan.fuse;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertSame;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.Test;

public class FuserTest {
  private static GraphNode node(String name, String op, String... inputs) {
    ObjectNode attrs = JsonNodeFactory.instance.objectNode();
    ValueInfo output = new ValueInfo(name, new long[] {-1, 4, 4, 8}, ElementType.FLOAT32);
    return new GraphNode(name, op, "layer", Arrays.asList(inputs), new Attributes(attrs, name), List.of(output));
  }

  private static List<Chain> fuse(List<GraphNode> nodes, String... visible) {
    return new Fuser(
            node -> node.op().equals("Conv"),
            (node, value) -> Set.of("Add", "Relu").contains(node.op()),
            (pad, next) -> next.op().equals("Conv"))
        .fuse(nodes, Set.of(visible)::contains);
  }

  private static String text(List<Chain> chains) {
    return chains.stream().map(chain -> chain.node().op() + ":" + chain.node().name()).collect(Collectors.joining(" "));
  }

  @Test
  public void chainsGoFromThePaddingToTheLastLink() {
    List<GraphNode> nodes =
        List.of(node("p", "Pad", "x"), node("c", "Conv", "p", "w"), node("a", "Add", "c", "y"), node("r", "Relu", "a"));
    List<Chain> chains = fuse(nodes, "r");
    assertEquals("Pad+Conv+Add+Relu:r", text(chains));
    assertEquals(List.of("x", "w", "y"), chains.get(0).node().inputs());
    assertEquals("x", chains.get(0).source());
    assertEquals("a", chains.get(0).before(1));
  }

  @Test
  public void aChainStandsWhereItsLastMemberStood() {
    List<GraphNode> nodes =
        List.of(node("c", "Conv", "x", "w"), node("d", "Conv", "x", "v"), node("s", "Sum", "d"), node("a", "Add", "c", "s"));
    assertEquals("Conv:d Sum:s Conv+Add:a", text(fuse(nodes, "a")));
  }

  @Test
  public void valuesThatOthersReadEndAChain() {
    List<GraphNode> nodes = List.of(node("c", "Conv", "x", "w"), node("r", "Relu", "c"), node("a", "Add", "c", "r"));
    assertEquals("Conv:c Relu:r Add:a", text(fuse(nodes, "a")));
  }

  @Test
  public void visibleValuesEndAChain() {
    List<GraphNode> nodes = List.of(node("p", "Pad", "x"), node("c", "Conv", "p", "w"), node("r", "Relu", "c"));
    assertEquals("Pad:p Conv+Relu:r", text(fuse(nodes, "p", "r")));
    assertEquals("Pad+Conv:c Relu:r", text(fuse(nodes, "c", "r")));
  }

  @Test
  public void twoChainsThatMeetShareNothing() {
    List<GraphNode> nodes =
        List.of(node("c", "Conv", "x", "w"), node("d", "Conv", "x", "v"), node("a", "Add", "c", "d"), node("r", "Relu", "a"));
    assertEquals("Conv:d Conv+Add+Relu:r", text(fuse(nodes, "r")));
  }

  @Test
  public void cuttingTakesTheLastLinkAndThenThePadding() {
    Chain chain = fuse(List.of(node("p", "Pad", "x"), node("c", "Conv", "p", "w"), node("r", "Relu", "c")), "r").get(0);
    assertEquals("Pad+Conv:c Relu:r", text(chain.cut()));
    assertEquals("Pad:p Conv:c", text(chain.cut().get(0).cut()));
    Chain single = chain.cut().get(1);
    assertSame(single, single.cut().get(0));
    assertEquals(1, single.cut().size());
  }
}
