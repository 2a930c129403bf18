package io.kbridge.dl4j;

/** Says why DL4J has no exact form of something. Collected over the whole model. */
final class Unsayable extends RuntimeException {
  private static final long serialVersionUID = 1;

  Unsayable(String reason) {
    super(reason);
  }
}
