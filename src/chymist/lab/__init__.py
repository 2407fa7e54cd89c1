"""The lab: a folder of runs. A run is a folder that people can read and copy."""

from chymist.lab.lab import Lab
from chymist.lab.run import Run

__all__ = ["Lab", "Run"]
