"""Judging what was measured: each experiment's claims, and the same claims under its control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from chymist.claims import judge, overall
from chymist.study import Experiment


def judge_experiment(
    experiment: Experiment, treatment: xr.Dataset, control: xr.Dataset, *, anytime: bool = False
) -> dict[str, Any]:
    """Return the verdicts of an experiment and of its control as plain JSON.

    With `anytime` by intervals that hold at any number of seeds.

    Raises:
        BadStudy: a statistic breaks the contract.
    """
    claims = {c.name: c for c in experiment.claims}
    verdicts = [judge(c, treatment, anytime=anytime) for c in claims.values()]
    flips = [judge(claims[name], control, anytime=anytime) for name in experiment.control.flips]
    return {
        "claims": [v.to_json() for v in verdicts],
        "control": [
            {"claim": v.claim, "flipped": v.status == "refuted", "verdict": v.to_json()}
            for v in flips
        ],
    }


def outcome(experiments: Mapping[str, Any]) -> dict[str, Any]:
    """Combine the verdicts of all experiments into that of the study."""
    statuses = [c["status"] for e in experiments.values() for c in e["claims"]]
    flipped = [c["flipped"] for e in experiments.values() for c in e["control"]]
    return {
        "status": overall(statuses),
        "broken": not all(flipped),
        "experiments": dict(experiments),
    }
