package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.dnnl_cpu_isa_avx2_vnni;
import static org.bytedeco.dnnl.global.dnnl.dnnl_cpu_isa_avx512_core;
import static org.bytedeco.dnnl.global.dnnl.dnnl_cpu_isa_avx512_core_bf16;
import static org.bytedeco.dnnl.global.dnnl.dnnl_cpu_isa_avx512_core_vnni;
import static org.bytedeco.dnnl.global.dnnl.dnnl_get_effective_cpu_isa;

import java.util.function.Supplier;
import org.bytedeco.dnnl.engine;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_desc;
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
    return strided(memory.data_type.f32, dims, strides);
  }

  /** Describes memory of numbers of some type by dimensions and strides, both in elements. */
  static memory.desc strided(memory.data_type type, long[] dims, long[] strides) {
    return new memory.desc(dims, type, strides);
  }

  /** Tells whether this CPU has vectors of sixteen numbers. */
  static boolean hasWideVectors() {
    return has(dnnl_cpu_isa_avx512_core);
  }

  /** Tells whether this CPU computes with bfloat16. */
  static boolean hasBfloat16() {
    return has(dnnl_cpu_isa_avx512_core_bf16);
  }

  /** Tells whether this CPU multiplies 8-bit numbers and adds up in 32 bits (VNNI). Others add up in 16 bits first, where large sums are cut. */
  static boolean hasInt8() {
    return has(dnnl_cpu_isa_avx512_core_vnni) || has(dnnl_cpu_isa_avx2_vnni);
  }

  private static boolean has(int instructions) {
    cpu();
    return (dnnl_get_effective_cpu_isa() & instructions) == instructions;
  }

  /** Describes memory whose layout the primitive chooses. */
  static memory.desc any(long... dims) {
    return any(memory.data_type.f32, dims);
  }

  /** Describes memory of numbers of some type whose layout the primitive chooses. */
  static memory.desc any(memory.data_type type, long... dims) {
    return new memory.desc(dims, type, memory.format_tag.any);
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

  /**
   * Goes on to the implementation of a name; tells whether there is one. What the description was made of must not have been freed: oneDNN reads it
   * again.
   */
  static boolean seek(primitive_desc description, String name) {
    boolean more = true;
    while (more && !implementation(description).equals(name)) {
      more = description.next_impl();
    }
    return more;
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
