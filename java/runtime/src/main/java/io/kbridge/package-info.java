/**
 * Runs Keras models in a JVM: {@link io.kbridge.KBridge} loads a bundle, {@link io.kbridge.KBridgeModel} predicts, {@link
 * io.kbridge.KBridgeModel#selfTest()} compares with what native Keras gave. Errors are {@link io.kbridge.KBridgeException} with an {@link
 * io.kbridge.ErrorCode}.
 *
 * <p>The native libraries are those of ND4J's backend in the class path ({@code org.nd4j:nd4j-native} with the classifier of the platform);
 * JavaCPP unpacks them into its cache ({@code ~/.javacpp/cache}, or {@code -Dorg.bytedeco.javacpp.cachedir}) at first use.
 */
package io.kbridge;
