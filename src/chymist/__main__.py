"""`python -m chymist`."""

from chymist.cli import main

main()
