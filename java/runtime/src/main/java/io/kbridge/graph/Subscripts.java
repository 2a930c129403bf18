package io.kbridge.graph;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Which axes of a product's operands meet, as {@code Einsum} says it: a letter for each axis of each operand, and those of the result.
 * Immutable.
 */
public final class Subscripts {
  /** The letters that axes may have. */
  public static final String LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

  private static final String SORTED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  private static final String DOTS = "...";

  private final List<String> operands;
  private final String result;

  private Subscripts(List<String> operands, String result) {
    this.operands = List.copyOf(operands);
    this.result = result;
  }

  /**
   * Reads the attribute of {@code Einsum}. The axes that an ellipsis stands for get letters that no other axis has; it is aligned at its end.
   *
   * @param text the attribute
   * @param ranks the number of axes of each operand
   * @return the letters
   */
  public static Subscripts einsum(String text, int... ranks) {
    String plain = text.replace(" ", "");
    int arrow = plain.indexOf("->");
    String[] terms = (arrow < 0 ? plain : plain.substring(0, arrow)).split(",", -1);
    StringBuilder free = new StringBuilder();
    LETTERS.chars().filter(letter -> plain.indexOf(letter) < 0).forEach(letter -> free.append((char) letter));
    int longest = 0;
    List<String> operands = new ArrayList<>();
    for (int i = 0; i < terms.length; i++) {
      int dots = ranks[i] - terms[i].replace(DOTS, "").length();
      longest = Math.max(longest, terms[i].contains(DOTS) ? dots : 0);
      operands.add(terms[i].replace(DOTS, last(free, dots)));
    }
    String dots = last(free, longest);
    return new Subscripts(operands, arrow < 0 ? implicit(operands, dots) : plain.substring(arrow + 2).replace(DOTS, dots));
  }

  private static String last(StringBuilder letters, int count) {
    return new StringBuilder(letters.substring(0, count)).reverse().toString();
  }

  /** Without an arrow the result has the axes of the ellipsis, then those met once, sorted. */
  private static String implicit(List<String> operands, String dots) {
    String all = String.join("", operands);
    StringBuilder result = new StringBuilder(dots);
    for (char label : SORTED.toCharArray()) {
      if (all.indexOf(label) >= 0 && all.indexOf(label) == all.lastIndexOf(label) && dots.indexOf(label) < 0) {
        result.append(label);
      }
    }
    return result.toString();
  }

  /**
   * Reads the attribute of {@code Tensordot}.
   *
   * @param axes how many of the last axes of the first operand meet the first ones of the second, or two lists of axes
   * @param left the number of axes of the first operand
   * @param right that of the second
   * @return the letters
   */
  public static Subscripts tensordot(JsonNode axes, int left, int right) {
    if (axes.isIntegralNumber()) {
      int n = axes.intValue();
      return contraction(left, IntStream.range(left - n, left).toArray(), right, IntStream.range(0, n).toArray());
    }
    return contraction(left, axes(axes.get(0), left), right, axes(axes.get(1), right));
  }

  private static int[] axes(JsonNode given, int rank) {
    int n = given.isArray() ? given.size() : 1;
    return IntStream.range(0, n).map(i -> Math.floorMod((given.isArray() ? given.get(i) : given).intValue(), rank)).toArray();
  }

  /**
   * Says {@code Dot}: the last axis meets the last but one.
   *
   * @param left the number of axes of the first operand, at least 1
   * @param right that of the second
   * @return the letters
   */
  public static Subscripts dot(int left, int right) {
    return contraction(left, new int[] {left - 1}, right, new int[] {Math.max(0, right - 2)});
  }

  /**
   * Says {@code Inner}: the last axis meets the last.
   *
   * @param left the number of axes of the first operand, at least 1
   * @param right that of the second
   * @return the letters
   */
  public static Subscripts inner(int left, int right) {
    return contraction(left, new int[] {left - 1}, right, new int[] {right - 1});
  }

  /** The result has the axes of the first operand that meet none, then those of the second. */
  private static Subscripts contraction(int left, int[] ofLeft, int right, int[] ofRight) {
    String a = LETTERS.substring(0, left);
    StringBuilder b = new StringBuilder(LETTERS.substring(26, 26 + right));
    String result = a;
    for (int i = 0; i < ofLeft.length; i++) {
      result = result.replace(String.valueOf(a.charAt(ofLeft[i])), "");
      b.setCharAt(ofRight[i], a.charAt(ofLeft[i]));
    }
    for (char label : b.toString().toCharArray()) {
      result = a.indexOf(label) < 0 ? result + label : result;
    }
    return new Subscripts(List.of(a, b.toString()), result);
  }

  /**
   * Returns the letters of each operand.
   *
   * @return one text each
   */
  public List<String> operands() {
    return operands;
  }

  /**
   * Returns the letters of the result.
   *
   * @return a text
   */
  public String result() {
    return result;
  }
}
