"""The second strangers."""

from __future__ import annotations

import second_pictures
import second_sequences
import second_tables
from case import Case

CASES: tuple[Case, ...] = (*second_pictures.CASES, *second_sequences.CASES, *second_tables.CASES)
