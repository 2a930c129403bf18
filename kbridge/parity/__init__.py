"""Proving that native Keras and the JVM give the same numbers."""
