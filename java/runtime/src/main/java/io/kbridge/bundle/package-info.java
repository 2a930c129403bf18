/** Reads bundles: HDF5 through jHDF, JSON through Jackson, weights mapped into memory. Trusts nothing it reads. */
package io.kbridge.bundle;
