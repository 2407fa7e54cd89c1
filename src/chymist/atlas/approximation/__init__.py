"""What networks approximate, how well, and at what cost."""
