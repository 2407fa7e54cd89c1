"""Studies of geometry: curvature and distances, on graphs and in data."""
