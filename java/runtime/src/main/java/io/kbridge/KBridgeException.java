package io.kbridge;

import java.util.Objects;

/**
 * The one exception of this runtime. Unchecked, because a caller can seldom do more than report it, and because checked
 * exceptions spoil lambdas and Scala callers. Use {@link #code()} to tell cases apart, never the message.
 */
public class KBridgeException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What went wrong; part of the serialized form. */
  private final ErrorCode code;

  /**
   * Makes an exception.
   *
   * @param code what went wrong
   * @param message what was expected, what was received, and what to do
   */
  public KBridgeException(ErrorCode code, String message) {
    this(code, message, null);
  }

  /**
   * Makes an exception with a cause.
   *
   * @param code what went wrong
   * @param message what was expected, what was received, and what to do
   * @param cause the error underneath, or null
   */
  public KBridgeException(ErrorCode code, String message, Throwable cause) {
    super(message, cause);
    this.code = Objects.requireNonNull(code, "code");
  }

  /**
   * Returns what went wrong.
   *
   * @return the code
   */
  public ErrorCode code() {
    return code;
  }
}
