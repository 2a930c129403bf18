/**
 * Keras's initializers: new weights from the distributions that a bundle names. The numbers are this runtime's own: one stream for each weight,
 * from the seed and the weight's name, so that they depend on nothing else.
 */
package io.kbridge.train.initializer;
