/**
 * Makes Deeplearning4j's own networks of a bundle, and brings what they have learnt back. Needs {@code deeplearning4j-nn}, which the rest of kbridge
 * does not.
 */
package io.kbridge.dl4j;
