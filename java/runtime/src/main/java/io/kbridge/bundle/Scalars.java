package io.kbridge.bundle;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.ElementType;
import io.kbridge.plan.NativeArrays;
import java.lang.ref.Reference;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Makes arrays of the scalar constants that are written in the spec itself. */
final class Scalars {
  private Scalars() {}

  static INDArray array(ArrayEntry entry) {
    ElementType type = entry.value().type();
    JsonNode json = entry.scalar();
    String where = "spec.constants['" + entry.value().name() + "'].value";
    if (type == ElementType.BOOL) {
      if (!json.isBoolean()) {
        throw Json.wrong(where, "true or false", Json.brief(json));
      }
      return Nd4j.scalar(json.booleanValue());
    }
    if (type.dataType().isFPType()) {
      return real(type, json, where);
    }
    return integer(type, json, where);
  }

  private static INDArray real(ElementType type, JsonNode json, String where) {
    Double special = json.isTextual() ? Attributes.special(json.textValue()) : null;
    if (special == null && !json.isNumber()) {
      throw Json.wrong(where, "a number, \"nan\", \"inf\" or \"-inf\"", Json.brief(json));
    }
    double value = special == null ? json.doubleValue() : special;
    // NB: the spec holds a number of the type itself, so no step of this rounds.
    return type == ElementType.FLOAT64 ? Nd4j.scalar(value) : Nd4j.scalar((float) value).castTo(type.dataType());
  }

  private static INDArray integer(ElementType type, JsonNode json, String where) {
    boolean signed = type.dataType().isSigned();
    int bits = 8 * type.bytes();
    BigInteger low = signed ? BigInteger.ONE.shiftLeft(bits - 1).negate() : BigInteger.ZERO;
    BigInteger end = low.add(BigInteger.ONE.shiftLeft(bits));
    if (!json.isIntegralNumber() || json.bigIntegerValue().compareTo(low) < 0 || json.bigIntegerValue().compareTo(end) >= 0) {
      throw Json.wrong(where, "an integer that fits " + type.kerasName(), Json.brief(json));
    }
    ByteBuffer bytes = ByteBuffer.allocateDirect(8).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(0, json.bigIntegerValue().longValue());
    INDArray scalar = NativeArrays.over(new BytePointer(bytes), type.dataType()).dup();
    // NB: the buffer has to outlive the copying of what it holds.
    Reference.reachabilityFence(bytes);
    return scalar;
  }
}
