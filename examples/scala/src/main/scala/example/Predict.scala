package example

import io.kbridge.{KBridge, LoadOptions, TensorInfo}
import java.nio.file.Path
import org.nd4j.linalg.api.ndarray.INDArray
import org.nd4j.linalg.factory.Nd4j
import scala.jdk.CollectionConverters.*
import scala.util.Using

/** Loads a bundle, checks it against the answers that Keras gave, and predicts; on a device, such as gpu, if one is named. */
@main def predict(bundle: String, device: String*): Unit =
  val options = LoadOptions.builder().device(device.headOption.getOrElse("auto")).build()
  Using.resource(KBridge.load(Path.of(bundle), options)) { model =>
    println(s"model    ${model.name}")
    println(s"inputs   ${model.inputs.values}")
    println(s"outputs  ${model.outputs.values}")

    // The bundle holds a few samples with native Keras's answers: the proof that this machine gives the same.
    println(s"selftest ${model.selfTest().orThrow()}")

    val inputs = model.inputs.asScala.map((name, info) => name -> half(info)).asJava
    for (name, values) <- model.predict(inputs).asScala do
      println(s"predict  $name ${values.toDoubleVector.mkString("[", ", ", "]")}")
  }

/** Makes a batch of one in which every number is a half; sizes that the model leaves open become 1. */
def half(input: TensorInfo): INDArray =
  Nd4j.valueArrayOf(input.shape.map(_.max(1)), 0.5).castTo(input.dtype)
