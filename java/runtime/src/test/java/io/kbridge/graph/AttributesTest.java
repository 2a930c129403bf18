package io.kbridge.graph;

import static io.kbridge.Fixtures.assertFails;
import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.Test;

public class AttributesTest {
  private static ObjectNode json(String text) {
    try {
      return (ObjectNode) new ObjectMapper().readTree(text.replace('\'', '"'));
    } catch (JsonProcessingException e) {
      throw new AssertionError(e);
    }
  }

  private final Attributes attrs =
      new Attributes(
          json("{'s': 'same', 'b': true, 'i': 3, 'big': 5000000000, 'd': 0.5, 'inf': '-inf', 'nan': 'nan', 'l': [1, -2],"
              + " 'names': ['a', 'b'], 'none': null}"),
          "node 'n'");

  @Test
  public void readsEachKind() {
    assertEquals("same", attrs.getString("s"));
    assertTrue(attrs.getBoolean("b"));
    assertEquals(3, attrs.getInt("i"));
    assertEquals(5_000_000_000L, attrs.getLong("big"));
    assertEquals(0.5, attrs.getDouble("d"), 0);
    assertEquals(3.0, attrs.getDouble("i"), 0);
    assertEquals(Double.NEGATIVE_INFINITY, attrs.getDouble("inf"), 0);
    assertTrue(Double.isNaN(attrs.getDouble("nan")));
    assertArrayEquals(new int[] {1, -2}, attrs.getInts("l"));
    assertArrayEquals(new long[] {1, -2}, attrs.getLongs("l"));
    assertEquals(List.of("a", "b"), attrs.getStrings("names"));
    assertEquals(Set.of("s", "b", "i", "big", "d", "inf", "nan", "l", "names", "none"), attrs.names());
  }

  @Test
  public void defaultsStandForAbsentAndNull() {
    assertFalse(attrs.has("none"));
    for (String absent : List.of("none", "never")) {
      assertEquals("x", attrs.getString(absent, "x"));
      assertEquals(7, attrs.getInt(absent, 7));
      assertEquals(7L, attrs.getLong(absent, 7L));
      assertEquals(7.5, attrs.getDouble(absent, 7.5), 0);
      assertTrue(attrs.getBoolean(absent, true));
      assertTrue(attrs.json(absent).isNull());
      assertFails(ErrorCode.BUNDLE_FORMAT, () -> attrs.getInt(absent), "'" + absent + "'", "node 'n'");
    }
    assertEquals("a default does not hide a wrong kind", 3, attrs.getInt("i", 7));
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> attrs.getInt("s", 7), "same");
  }

  @Test
  public void refusesOtherKinds() {
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> attrs.getString("i"), "a string", "3");
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> attrs.getBoolean("i"), "true or false");
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> attrs.getLong("d"), "an integer", "0.5");
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> attrs.getInt("big"), "32-bit");
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> attrs.getDouble("s"), "a number");
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> attrs.getInts("i"), "a list of integers");
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> attrs.getLongs("names"), "a list of integers");
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> attrs.getStrings("l"), "a list of strings");
  }

  @Test
  public void sizesAreFloorsOfProducts() {
    Map<String, long[]> shapes = Map.of("x", new long[] {5, 3}, "y", new long[] {2});
    assertEquals(5, Dims.resolve(json("{'dims': [['x', 0]]}"), shapes::get));
    assertEquals(30, Dims.resolve(json("{'dims': [['x', 0], ['x', 1], ['y', 0]]}"), shapes::get));
    assertEquals(7 - 10, Dims.resolve(json("{'dims': [['x', 0]], 'num': 3, 'den': 2, 'add': -10}"), shapes::get));
    assertEquals("floor, not towards zero", -3, Dims.resolve(json("{'dims': [['x', 0]], 'num': -1, 'den': 2}"), shapes::get));
    assertEquals(4, Dims.resolve(json("{'dims': [], 'num': 4}"), shapes::get));
  }

  @Test
  public void sizesWrittenWrongAreRefused() {
    for (String wrong : List.of("{'dims': 3}", "{'dims': ['x']}", "{'dims': [['x', -1]]}", "{'dims': [['x', 0]], 'den': 0}",
        "{'dims': [['x', 0]], 'num': 0.5}", "{'dims': [[0, 'x']]}", "{'dims': [['x', 2]]}")) {
      assertThrows(wrong, IllegalArgumentException.class, () -> Dims.resolve(json(wrong), name -> new long[] {1, 1}));
    }
    assertThrows(ArithmeticException.class, () -> Dims.resolve(json("{'dims': [['x', 0]], 'num': 4}"), name -> new long[] {1L << 62}));
  }

  @Test
  public void referencesAreFoundAtAnyDepth() {
    assertEquals(
        Set.of("a", "b", "c"),
        Dims.references(json("{'p': [[{'dims': [['a', 0], ['b', 1]]}, 1]], 'key': [{'slice': [null, {'dims': [['c', 0]]}, 2]}]}")));
  }
}
