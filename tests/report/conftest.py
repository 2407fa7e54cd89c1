from __future__ import annotations

import json
from typing import Any

import altair as alt
import numpy as np
import pytest
import xarray as xr

from chymist import figures as draw
from chymist.claims import Claim, Verdict, above, below, between, judge

STEPS = np.arange(0, 2000, 10)


def ratio(data: xr.Dataset) -> xr.DataArray:
    """Measured rate over the predicted rate of each mode [1]."""
    return data["ratio"]


def tau(data: xr.Dataset) -> xr.DataArray:
    """Kendall's tau between mode number $k$ and the step at which it is learned."""
    return data["tau"]


def gap(data: xr.Dataset) -> xr.DataArray:
    """Late loss of the slow mode over that of the fast one."""
    return data["gap"]


CLAIMS = (
    Claim("low-first", "Low frequencies are learned before high ones.", tau, above(0.6)),
    Claim(
        "rates",
        "Mode $k$ decays at the rate $\\lambda_k$ of the kernel.",
        ratio,
        between(0.8, 1.25),
    ),
    Claim(
        "gap", "The slow mode is left behind by a factor of a thousand.", gap, below(1e-3), "median"
    ),
)


def measured_line() -> xr.DataArray:
    noise = np.random.default_rng(0)
    rates = np.array([60.0, 250.0, 900.0])
    loss = np.exp(-STEPS / rates[:, None, None]) * (1 + 0.25 * noise.random((3, 8, 1)))
    return xr.DataArray(
        loss, dims=("k", "seed", "step"), coords={"k": [1, 3, 5], "seed": range(8), "step": STEPS}
    )


def dataset(tau: float, ratio: float, gap: float) -> xr.Dataset:
    noise = np.random.default_rng(1)
    return xr.Dataset(
        {
            "tau": ("seed", np.clip(tau + 0.06 * noise.standard_normal(8), -1, 1)),
            "ratio": (("k", "seed"), ratio + 0.03 * noise.standard_normal((3, 8))),
            "gap": ("seed", gap * np.exp(0.8 * noise.standard_normal(8))),
        },
        coords={"k": [1, 3, 5], "seed": range(8)},
    )


def verdicts(data: xr.Dataset) -> list[dict[str, Any]]:
    return [judge(claim, data).to_json() for claim in CLAIMS]


@pytest.fixture
def figures() -> dict[str, dict[str, Any]]:
    loss = measured_line()
    curves = draw.measured(
        loss,
        "step",
        title="loss of the mode",
        x_title="step",
        colour="k",
        colour_title="mode k",
        scale="log",
    )
    theory = draw.predicted(loss, "step", detail="k", scale="log")
    heat = draw.heat_map(loss, "step", "k", title="loss", x_title="step", y_title="mode k")
    images = xr.DataArray(
        np.random.default_rng(2).random((2, 3, 8, 8)),
        dims=("model", "sample", "height", "width"),
        coords={"model": ["tanh", "ReLU"], "sample": [1, 2, 3]},
    )
    strip = draw.image_strip(images, "model", "sample", column_title="sample")
    return {
        "curves": draw.themed(curves + theory + draw.threshold(0.1, "learned")),
        "heat": draw.themed(heat),
        "images": draw.themed(strip),
        "clipped": draw.themed(
            alt.Chart(alt.Data(values=[{"x": i, "y": i * i} for i in range(9)]))
            .mark_line(clip=True)
            .encode(x="x:Q", y="y:Q")
        ),
    }


@pytest.fixture
def outcome() -> dict[str, Any]:
    control = [v for v in verdicts(dataset(-0.1, 1.6, 0.4)) if v["claim"] in ("low-first", "rates")]
    # As it comes back from the run's file.
    return json.loads(
        json.dumps(
            {
                "status": "supported",
                "broken": False,
                "experiments": {
                    "line": {
                        "claims": verdicts(dataset(0.85, 1.02, 1e-5)),
                        "control": [
                            {"claim": v["claim"], "flipped": v["status"] == "refuted", "verdict": v}
                            for v in control
                        ],
                    },
                },
            }
        )
    )


@pytest.fixture
def manifest() -> dict[str, Any]:
    return {
        "format": 1,
        "id": "01JDC2M4Q8R6T0V9W3X5Y7Z1AB",
        "status": "sealed",
        "study": {
            "slug": "frequency-principle",
            "title": "Networks learn low frequencies first",
            "question": "In which order does gradient descent learn the frequencies of a function?",
            "family": "frequency",
            "theory": THEORY,
            "limits": "One hidden layer; *one* input dimension. Nothing is said of $d > 1$.",
            "references": [
                {
                    "key": "xu2020frequency",
                    "authors": ["Zhi-Qin John Xu", "Yaoyu Zhang"],
                    "title": "Frequency Principle",
                    "venue": "CiCP 28",
                    "year": 2020,
                    "arxiv": "1901.06523",
                    "doi": "",
                },
                {
                    "key": "jacot2018neural",
                    "authors": ["Arthur Jacot"],
                    "title": "NTK",
                    "venue": "NeurIPS",
                    "year": 2018,
                    "arxiv": "",
                    "doi": "10.1000/xyz",
                },
            ],
            "experiments": [
                {
                    "name": "line",
                    "says": "A two-layer network learns a sum of three sines; the error is split "
                    "into its modes at every tenth step.",
                    "claims": [
                        {"name": c.name, "sentence": c.sentence, "digest": c.digest()}
                        for c in CLAIMS
                    ],
                    "control": {
                        "says": "With initial weights thirty times as large, the order is lost.",
                        "change": {"scale": 30.0, "lr": [0.002]},
                        "flips": ["low-first", "rates"],
                    },
                    "figures": [
                        {"name": "curves", "caption": "Error of mode $k$; dashed, theory."},
                        {"name": "heat", "caption": "The same, as colours."},
                        {"name": "images", "caption": "Pictures."},
                        {"name": "clipped", "caption": "Clipped curves."},
                    ],
                },
                {
                    "name": "own-data",
                    "says": "The same on the user's file.",
                    "claims": [{"name": "own", "sentence": "The same holds.", "digest": "0" * 64}],
                    "control": {"says": "As above.", "change": {"scale": 30.0}, "flips": ["own"]},
                    "figures": [],
                },
            ],
        },
        "parameters": {"lr": [0.2, 0.02], "scale": 1.0, "width": [256], "steps": 2000, "seeds": 8},
        "parameter_help": {
            "lr": {"description": "step size", "range": "number > 0", "default": [0.2]},
            "scale": {"description": "initial scale", "range": "number > 0", "default": 1.0},
            "width": {"description": "neurons", "range": "integer >= 1", "default": [64]},
            "steps": {"description": "updates", "range": "integer >= 1", "default": 2000},
            "seeds": {
                "description": "independent repetitions",
                "range": "integer from 5 to 10000",
                "default": 8,
            },
        },
        "preset": "quick",
        "sweep": {},
        "input": None,
        "started": "2025-11-23T04:36:11+00:00",
        "finished": "2025-11-23T04:37:14+00:00",
        "seconds": 63.2,
        "machine": {"system": "Linux 6.1", "processor": "x86_64", "cores": 2, "python": "3.11.2"},
        "versions": {
            "chymist": "0.1.0",
            "torch": "2.6.0+cpu",
            "numpy": "2.2.0",
            "xarray": "2025.1.0",
        },
        "threads": 2,
        "source": {"module": "chymist.atlas.frequency.frequency_principle", "sha256": "ab" * 32},
        "command": "chymist run frequency-principle --preset quick --lr 0.2,0.02",
        "diverged": {"line, treatment": 0, "line, control": 0},
        "files": {"chunks/line-0.nc": "cd" * 32, "verdicts.json": "ef" * 32},
    }


THEORY = r"""
Near its start a wide network is linear in its weights. Gradient descent at step size $\eta$ then
removes the error $e = f - f^*$ along each eigenvector of the kernel $\Theta$ by itself:

$$
\hat e_k(t) = \left(1 - \eta \lambda_k\right)^t \, \hat e_k(0), \qquad
\Theta(x, x') = \sum_{i=1}^{m} \nabla_\theta f(x)_i \cdot \nabla_\theta f(x')_i .
$$

For smooth activations $\lambda_k$ falls with $|k|$, like $|k|^{-2}$ for ReLU in one dimension:

$$
\begin{aligned}
\lambda_k &\le C\, |k|^{-2} \\
\mathbb{E}\,\mathcal{L}(t) &= \tfrac12 \sum_k \lvert \hat e_k(t) \rvert^2
\end{aligned}
$$

## What would refute it

- an order that is *not* that of the eigenvalues;
- a rate that is off by more than a quarter.
"""


@pytest.fixture
def verdict() -> Verdict:
    return judge(CLAIMS[1], dataset(0.85, 1.02, 1e-5))
