"""Checks that studies and instruments must pass; public, so that plug-ins can hold to them."""

from chymist.testing.instruments import check_instrument
from chymist.testing.networks import Small, small_networks
from chymist.testing.stories import check_story
from chymist.testing.studies import check_study

__all__ = ["Small", "check_instrument", "check_story", "check_study", "small_networks"]
