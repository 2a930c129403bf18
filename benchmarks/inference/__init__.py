"""How long one prediction takes, engine by engine."""
