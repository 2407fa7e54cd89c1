"""All cases of the calibration."""

from __future__ import annotations

import language
import physics
import pictures
import strangers_first
import tables
from case import Case
from strangers_second import CASES as SECOND
from strangers_third import CASES as THIRD

CASES: tuple[Case, ...] = (
    *pictures.CASES, *language.CASES, *tables.CASES, *physics.CASES, *strangers_first.CASES,
)  # fmt: skip
BY_NAME = {case.name: case for case in CASES}

for _case in CASES:
    if _case.twin and BY_NAME[_case.twin].steps != _case.steps:
        raise ValueError(f"{_case.name} and its twin {_case.twin} take different numbers of steps")
if len(BY_NAME) != len(CASES):
    raise ValueError("two cases have one name")
BY_NAME |= {case.name: case for case in (*SECOND, *THIRD)}
