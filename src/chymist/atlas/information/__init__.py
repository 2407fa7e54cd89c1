"""What codes and entropies find."""
