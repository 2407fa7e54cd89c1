"""Rules of a training as it runs, each on charts that it must speak of and that it must not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from chymist.doctor.chart import Chart, Reading
from chymist.doctor.diagnosis import diagnose
from chymist.doctor.finding import Finding
from chymist.doctor.rules import RULES

STEPS = 300


def chart(series: dict[str, Any], **facts: Any) -> Chart:
    """Readings at even steps, each series a list of numbers or of mappings by layer."""
    known = {"watch": {"steps": STEPS}, "optimizer": {"rule": "SGD", "lr": 0.1}, **facts}
    made = Chart(known)
    for name, values in series.items():
        for index, value in enumerate(values):
            step = round(index * STEPS / max(1, len(values) - 1)) if len(values) > 1 else STEPS
            by_layer = value if isinstance(value, dict) else {"": float(value)}
            made.add(name, Reading(step, by_layer))
    return made


def told(rule: str, made: Chart) -> list[Finding]:
    (found,) = [r for r in RULES if r.name == rule]
    return list(found.judge(made))


def falling(n: int = 60) -> list[float]:
    return [2.0 * 0.95**i for i in range(n)]


def level(n: int = 60) -> list[float]:
    return [2.0 + 0.001 * (-1) ** i for i in range(n)]


SHARP = {"sharpness_threshold": [20.0] * 4}
MOVES = {"update_ratio": [1e-3] * 5, "lr": [0.1] * 5}
LAYERS = {"layers": {"0": {"type": "Linear", "shape": [64, 64]}}}

TEN = {"loss_of_zeros": [math.log(10)] * 2, "outputs": [10.0] * 2}
"""What is known of a cross-entropy of ten classes."""
LEARNS = {"loss": [2.0 * 0.999**i for i in range(60)], "lr": [0.1] * 5}

CASES: list[tuple[str, str | None, Chart]] = [
    ("loss-course", "warning", chart({"loss": level()})),
    ("loss-course", "critical", chart({"loss": level()[:20] + [9.0] * 40})),
    ("loss-course", None, chart({"loss": falling()})),
    ("loss-course", None, chart({"loss": [1.0, 3.0] * 30})),
    ("loss-course", "warning", chart({"loss": [3.0] * 3 + [2.29, 2.27] * 29, **TEN})),
    ("loss-course", None, chart({"loss": [3.0] * 3 + [2.1, 2.08] * 29, **TEN})),
    ("loss-course", None, chart({"loss": [3.0] * 3 + [3.2, 1.3] * 29, **TEN})),
    ("loss-course", None, chart({"loss": [9.0] * 3 + [1.0, 1.02] * 29, "loss_of_mean": [1.0] * 2})),
    ("beyond-edge", "critical", chart({"sharpness": [90.0] * 4, **SHARP, "loss": level()})),
    ("beyond-edge", "note", chart({"sharpness": [21.0] * 4, **SHARP, "loss": falling()})),
    ("beyond-edge", "note", chart({"sharpness": [90.0] * 4, **SHARP, "loss": falling()})),
    ("beyond-edge", None, chart({"sharpness": [5.0] * 4, **SHARP, "loss": falling()})),
    ("slow-descent", "warning", chart({"sharpness": [0.1] * 4, **SHARP, "loss": level(),
                                     "update_ratio": [1e-6] * 5, "lr": [0.1] * 5})),
    ("slow-descent", "warning", chart({"sharpness": [0.0] * 4, **SHARP, "loss": level(),
                                     "update_ratio": [1e-6] * 5, "lr": [0.1] * 5})),
    ("slow-descent", None, chart({"sharpness": [0.1] * 4, **SHARP, "loss": level(), **MOVES})),
    ("slow-descent", None, chart({"sharpness": [0.1] * 4, **SHARP, "loss": falling(),
                                "update_ratio": [1e-6] * 5, "lr": [0.1] * 5})),
    ("slow-descent", "warning", chart({"loss": falling(20) + [0.7] * 40, "lr": [0.1, 0.1, 0, 0, 0],
                                     "update_ratio": [1e-2, 1e-2, 0, 0, 0]})),
    ("slow-descent", None, chart({"loss": falling(20) + [0.7] * 40, "lr": [0.1, 0.1, 0.05, 0.01, 0],
                                "update_ratio": [1e-2, 1e-2, 5e-3, 1e-3, 0]})),
    ("large-updates", "warning", chart({"update_ratio": [{"0.weight": 0.4}] * 5, "loss": level()},
                                       **LAYERS)),
    ("large-updates", "note", chart({"update_ratio": [{"0.weight": 0.4}] * 5, "loss": falling()},
                                    **LAYERS)),
    ("large-updates", None, chart({"update_ratio": [{"0.weight": 0.01}] * 5, "loss": level()},
                                  **LAYERS)),
    ("unmoved", "critical", chart({"update_ratio": [{"a": 0.0, "": 0.0}] * 4})),
    ("unmoved", "warning", chart({"update_ratio": [{"a": 0.0, "b": 0.1}] * 4})),
    ("unmoved", None, chart({"update_ratio": [{"a": 0.0}, *[{"a": 1e-9}] * 3]})),
    ("unmoved", None, chart({"update_ratio": [{"a": 0.0}] * 4, "lr": [0.0] * 3 + [1e-3]})),
    ("unmoved", "critical", chart({"update_ratio": [{"a": 0.0}] * 4, "lr": [0.0] * 4})),
    ("unmoved", None, chart({"update_ratio": [{"k.bias": 0.0, "k.weight": 0.1}] * 4})),
    ("unmoved", "warning", chart({"update_ratio": [{"k.bias": 0.0, "k.weight": 0.0, "b": 1.0}]
                                 * 4})),
    ("clipped", "warning", chart({"gradient_norm": [1e-3] * 8, "loss": level(),
                                  "update_ratio": [1e-6] * 5})),
    ("clipped", "note", chart({"gradient_norm": [1.0] * 8, "loss": falling(), **MOVES})),
    ("clipped", None, chart({"gradient_norm": [1.0, 1.1, 0.9, 1.0, 1.2, 1.0]})),
    ("unlearnt-frequency", "warning", chart({"frequency_error": [{"1": 0.1, "20": 0.99}],
                                         "frequency_content": [{"1": 0.3, "20": 0.3}]},
                                        data={"samples": 128})),
    ("unlearnt-frequency", None, chart({"frequency_error": [{"1": 0.1, "20": 0.3}],
                                    "frequency_content": [{"1": 0.3, "20": 0.3}]},
                                   data={"samples": 128})),
    ("unlearnt-frequency", None, chart({"frequency_error": [{str(k): 0.99 for k in range(1, 20)}],
                                    "frequency_content": [{str(k): 1 / 128 for k in range(1, 20)}]},
                                   data={"samples": 128})),
    ("noise-and-batch", "note", chart({"noise_trace": [100.0] * 4,
                                       "noise_squared_gradient": [0.01] * 4},
                                      data={"samples": 32})),
    ("noise-and-batch", None, chart({"noise_trace": [100.0] * 4,
                                     "noise_squared_gradient": [1.0] * 4}, data={"samples": 32})),
    ("alignment", "note", chart({"gradient_sharp_share": [0.9] * 4}, trained=1000)),
    ("alignment", None, chart({"gradient_sharp_share": [0.1] * 4}, trained=1000)),
    ("slow-descent", "warning", chart({**LEARNS, "sharpness": [0.1] * 4, **SHARP,
                                       "update_ratio": [5e-4] * 5}, **LAYERS)),
    ("slow-descent", None, chart({**LEARNS, "sharpness": [0.1] * 4, **SHARP,
                                  "update_ratio": [2e-3] * 5}, **LAYERS)),
    ("slow-descent", None, chart({**LEARNS, "sharpness": [0.1] * 4, **SHARP,
                                  "loss_of_mean": [9.0] * 2, "update_ratio": [5e-4] * 5},
                                 **LAYERS)),
    ("condensed", "note", chart({"directions": [{"0": 2.0}], "directions_start": [{"0": 40.0}]})),
    ("condensed", None, chart({"directions": [{"0": 30.0}], "directions_start": [{"0": 40.0}]})),
    ("regime", "note", chart({"kernel_turned": [0.001], "loss": falling()})),
    ("regime", None, chart({"kernel_turned": [0.2], "loss": falling()})),
    ("signal-drift", "warning", chart({"signal": [{"0": 1.0}, {"0": 1e7}]})),
    ("signal-drift", None, chart({"signal": [{"0": 1.0}, {"0": 1e3}]})),
    ("signal-drift", None, chart({"signal": [{"0": 0.0}, {"0": 1e3}]})),
    ("lost-rank", "warning", chart({"signal_spread": [{"0": 0.5}, {"0": 1e-9}], "loss": level()})),
    ("lost-rank", None, chart({"signal_spread": [{"0": 0.5}, {"0": 0.1}], "loss": level()})),
    ("dying-units", "warning", chart({"dead_units": [{"1": 0.0}, {"1": 0.95}]},
                                     data={"samples": 128})),
    ("dying-units", None, chart({"dead_units": [{"1": 0.0}, {"1": 0.3}]}, data={"samples": 128})),
    ("dying-units", None, chart({"dead_units": [{"1": 0.0}, {"1": 0.95}]}, data={"samples": 8})),
    ("margin-growth", "note", chart({"accuracy": [0.5, 1.0, 1.0, 1.0], "margin": [0.1, 1, 2, 4]})),
    ("margin-growth", None, chart({"accuracy": [0.5, 0.9, 0.9, 0.9], "margin": [0.1, 1, 2, 4]})),
    ("divergence", "critical", chart({}, non_finite={"step": 7, "kind": "layer", "layer": "2"})),
    ("divergence", "warning", chart({}, non_finite={"step": 7, "kind": "loss", "layer": "",
                                                    "recovered": 9})),
    ("divergence", None, chart({})),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "severity", "made"), CASES, ids=[f"{r}-{s}-{i}" for i, (r, s, _) in enumerate(CASES)]
)
def test_a_rule_speaks_where_it_must(rule: str, severity: str | None, made: Chart) -> None:
    found = told(rule, made)
    assert [f.severity for f in found] == ([severity] if severity else [])
    for finding in found:
        assert finding.rule == rule
        assert all((finding.says, finding.why, finding.remedy, finding.formula, finding.study))


def test_steps_beyond_the_edge_account_for_a_loss_that_does_not_fall() -> None:
    made = chart({"sharpness": [5.0, *[90.0] * 3], **SHARP, "loss": level()})
    found = {f.rule: f for f in diagnose(made)}
    assert found["loss-course"].severity == "note"
    assert found["loss-course"].because == "beyond-edge"


def test_findings_can_be_made_again_from_a_chart_that_was_kept() -> None:
    for _, _, made in CASES:
        kept = Chart.from_json(made.as_json())
        assert diagnose(kept) == diagnose(made)


def test_clipping_that_stops_a_training_accounts_for_steps_that_seem_too_long() -> None:
    made = chart({
        "gradient_norm": [1e-4] * 5, "update_ratio": [1e-6] * 5, "lr": [0.1] * 5, "loss": level(),
        "sharpness": [90.0] * 4, **SHARP,
    })  # fmt: skip
    found = {f.rule: (f.severity, f.because) for f in diagnose(made)}
    assert found["clipped"] == ("warning", "")
    assert found["step-size"] == ("note", "clipped") and found["beyond-edge"][0] == "note"
