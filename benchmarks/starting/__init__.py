"""How long it takes from a bundle to the first prediction."""
