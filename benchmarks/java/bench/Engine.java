package bench;

import java.nio.ByteBuffer;
import java.nio.file.Path;

/** Something that runs, or trains, a model of one float32 input and one float32 output. */
interface Engine {
  /** Loads the model; {@code threads} is how many it may use. */
  void load(Path model, int threads) throws Exception;

  /** Sets the input of the calls that follow. */
  void input(ByteBuffer data, long[] shape) throws Exception;

  /** Sets the labels of the training steps that follow. */
  default void labels(ByteBuffer data, long[] shape) throws Exception {
    throw new UnsupportedOperationException("Expected an engine that trains. Received: labels for " + getClass());
  }

  /** Runs the model once, or does a training step: this is what is timed. */
  void call() throws Exception;

  /** Returns what the last call gave. */
  Answer answer() throws Exception;

  /** Returns name and version of the library. */
  String version();

  /** An output. */
  final class Answer {
    final ByteBuffer data;
    final long[] shape;

    Answer(ByteBuffer data, long[] shape) {
      this.data = data;
      this.shape = shape;
    }
  }
}
