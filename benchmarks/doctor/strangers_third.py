"""The cases of a third stranger, by one name."""

from __future__ import annotations

import third_pictures
import third_sequences
import third_tables
import third_unusual
from case import Case

CASES: tuple[Case, ...] = (
    *third_pictures.CASES, *third_sequences.CASES, *third_tables.CASES, *third_unusual.CASES,
)  # fmt: skip

_BY_NAME = {case.name: case for case in CASES}

if len(_BY_NAME) != len(CASES):
    raise ValueError("two cases have one name")
for _case in CASES:
    if _case.twin and _BY_NAME[_case.twin].steps != _case.steps:
        raise ValueError(f"{_case.name} and its twin {_case.twin} take different numbers of steps")
