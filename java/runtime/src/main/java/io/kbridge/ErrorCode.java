package io.kbridge;

/** What went wrong, for programs; {@link KBridgeException#getMessage()} says it for people. */
public enum ErrorCode {
  /** The bundle file does not exist or cannot be opened. */
  BUNDLE_NOT_FOUND,
  /** The file is no bundle, is damaged, or breaks a rule of the bundle format. */
  BUNDLE_FORMAT,
  /** The bundle was written by a newer major version of the format. */
  SCHEMA_VERSION,
  /** The bytes of a weight, constant or document differ from the digest the bundle states. */
  DIGEST_MISMATCH,
  /** The graph has an operation, or a use of one, that this runtime cannot compute exactly. */
  UNSUPPORTED_OP,
  /** The model was not compiled with a loss, or something of it cannot be trained outside of Keras. */
  NOT_TRAINABLE,
  /** The loss of a training step is NaN. */
  NOT_A_NUMBER,
  /** The caller gave inputs, names or options that do not fit the model. */
  INVALID_INPUT,
  /** The device asked for cannot be used with the ND4J backend in the class path. */
  DEVICE_UNAVAILABLE,
  /** There is not enough memory for the weights or for the arrays of a plan. */
  OUT_OF_MEMORY,
  /** The outputs differ from the golden samples in the bundle. */
  SELF_TEST_FAILED,
  /** Python could not make a bundle of the model: {@link KBridgePython#export}. */
  EXPORT_FAILED,
  /** The Python process cannot be started, has ended, or does not answer in time. */
  PYTHON_UNAVAILABLE,
  /** Python refused what was asked for another reason; the message says it. */
  PYTHON_FAILED,
  /** A fault in the runtime itself. */
  INTERNAL
}
