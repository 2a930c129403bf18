"""How fast kbridge is, measured beside TensorFlow, ONNX Runtime and stock Deeplearning4j."""
