package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.dnnl_cpu_isa_avx512_core_bf16;
import static org.bytedeco.dnnl.global.dnnl.dnnl_get_effective_cpu_isa;

import java.util.function.Supplier;
import org.bytedeco.dnnl.engine;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_desc_base;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import io.kbridge.plan.NativeArrays;

/** The library: its engine for the CPU, and what all uses of it need. */
final class OneDnn {
  private OneDnn() {}

  /** Returns oneDNN's handle of the CPU. */
  static engine cpu() {
    return Cpu.ENGINE;
  }

  /** Makes a dense description in which the dimensions are in memory in the order given. */
  static memory.desc plain(long... dims) {
    return strided(dims, NativeArrays.strides(dims));
  }

  /** Describes memory by dimensions and strides, both in elements. */
  static memory.desc strided(long[] dims, long[] strides) {
    return strided(false, dims, strides);
  }

  /** Describes memory of bfloat16 or float32 numbers by dimensions and strides, both in elements. */
  static memory.desc strided(boolean half, long[] dims, long[] strides) {
    return new memory.desc(dims, type(half), strides);
  }

  /** Returns oneDNN's name for bfloat16 or float32. */
  static memory.data_type type(boolean half) {
    return half ? memory.data_type.bf16 : memory.data_type.f32;
  }

  /** Tells whether this CPU computes with bfloat16. */
  static boolean hasBfloat16() {
    cpu();
    int known = dnnl_get_effective_cpu_isa();
    return (known & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
  }

  /** Describes memory whose layout the primitive chooses. */
  static memory.desc any(long... dims) {
    return any(false, dims);
  }

  /** Describes memory of bfloat16 or float32 numbers whose layout the primitive chooses. */
  static memory.desc any(boolean half, long... dims) {
    return new memory.desc(dims, type(half), memory.format_tag.any);
  }

  /** Tells whether an array is what oneDNN gets from us: float32 with at least one element. */
  static boolean isFloat(INDArray array) {
    return array.dataType() == DataType.FLOAT && !array.isEmpty();
  }

  /**
   * Asks for a primitive.
   *
   * @param request makes its description; may give null
   * @return what the request gave, or null if oneDNN has none, or only its slow reference code
   */
  static <T extends primitive_desc_base> T ask(Supplier<T> request) {
    T found;
    try {
      found = request.get();
    } catch (RuntimeException e) {
      // NB: JavaCPP turns dnnl::error into exactly this class; "unimplemented" is the answer to a question here, not a fault.
      if (e.getClass() != RuntimeException.class) {
        throw e;
      }
      return null;
    }
    return found == null || implementation(found).contains("ref") ? null : found;
  }

  /** Names what a primitive does and the code that does it, such as {@code convolution brgconv:avx512_core}. */
  static String implementation(primitive_desc_base description) {
    return description.get_kind().intern().name() + " " + description.impl_info_str().getString();
  }

  /** Copies the content of a float32 array. */
  static float[] content(INDArray array) {
    float[] content = new float[Math.toIntExact(array.length())];
    try (Pointer start = NativeArrays.borrowed(array);
        FloatPointer floats = new FloatPointer(start)) {
      floats.get(content);
    }
    return content;
  }

  /** Loaded at first use, so that a model of another engine needs no oneDNN. */
  private static final class Cpu {
    private static final engine ENGINE;

    static {
      OwnSymbols.give();
      ENGINE = new engine(engine.kind.cpu, 0);
    }

    private Cpu() {}
  }
}
