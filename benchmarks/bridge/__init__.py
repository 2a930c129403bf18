"""What it costs to call the JVM from Python."""
