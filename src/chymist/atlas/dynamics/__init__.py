"""Dynamics: where training goes, how fast, and what the step size decides of it."""
