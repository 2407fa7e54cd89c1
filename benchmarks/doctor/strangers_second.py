"""A second set of trainings by somebody who knew the names of the diagnoses, and no rule.

They were written from the handbook's list alone, as tutorials and notebooks are: without a look at
the rules, the quantities, the calibration or the other cases, and kept from the doctor until its
rules were mended. `check.py` shows, without the doctor, that each is what it says.
"""

from __future__ import annotations

from dataclasses import replace

import second_pictures
import second_sequences
import second_tables
from case import Case

CASES: tuple[Case, ...] = tuple(
    replace(case, held_out=True)
    for case in (*second_pictures.CASES, *second_sequences.CASES, *second_tables.CASES)
)
