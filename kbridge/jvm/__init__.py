"""The Java side: finding Java and its libraries, and running models in a JVM."""
