"""Studies of whole numbers: exact, without seeds."""
