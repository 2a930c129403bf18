"""Checks of DL4J networks, by what they are about; networks.py runs them."""
