/**
 * The flat door for other languages that run this JVM: few calls, plain types, no collections.
 *
 * <p>Arrays cross as addresses of memory that the caller holds for the length of a call, with shapes agreed before
 * ({@link io.kbridge.host.HostModel#call}); outputs are put where the caller wants them, or, before their sizes are known, stay in memory
 * of this JVM that the caller reads in place and gives back with {@link io.kbridge.host.HostResult#close}. A wrong address crashes the process: Java code uses {@link io.kbridge.KBridge}.
 *
 * <p>The other program may be in this process (JPype) or in another: {@link io.kbridge.host.HostProcess} then calls the same methods by
 * name, and the addresses are those of memory that both processes see.
 */
package io.kbridge.host;
