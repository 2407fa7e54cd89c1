"""Checks that every study must pass; public, so that plug-ins can hold themselves to them."""

from chymist.testing.studies import check_study

__all__ = ["check_study"]
