"""chymist."""
