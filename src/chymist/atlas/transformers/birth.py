"""One random head, not trained: an experiment of `transformer-initialisation`.

`p` is a cell of its parameters. Tokens are independent and standard normal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from chymist import instruments, models
from chymist.atlas.transformers import transformer_figures as draw
from chymist.atlas.transformers.arrangements import named
from chymist.bench import Bench
from chymist.claims import Claim, between
from chymist.study import Control, Experiment, Figure
from chymist.theory import random_energy

SEQUENCES = 8


def attention(p: Any, bench: Bench) -> xr.Dataset:
    """How saturated one random head is, with and without the division of its logits.

    Returns:
        participation, entropy_share and logit_std (head, power, seed): logits d^(1/2 - power) z.
    """
    powers = xr.DataArray([0.0, 0.5], {"power": [0.0, 0.5]})

    def one(width: int, seed: int) -> np.ndarray:
        build = partial(
            models.Transformer, p.keys, width, width=width, blocks=1, hidden=1, causal=False,
        )  # fmt: skip
        network = drawn(bench, build, partial(models.transformer_start, division=0.0), seed)
        x = tokens(bench, seed, p.keys * width).unflatten(1, (p.keys, width))
        # Of the block nothing but its attention is measured.
        head = network.get_submodule("residuals.0")
        heads = instruments.attention_saturation(head, x, [1.0, width**0.5])
        (found,) = heads.values()
        return torch.stack(
            [found.participation, found.entropy_share, found.logit_std]
        )[..., 0].numpy()  # fmt: skip

    values = np.array([[one(d, s) for s in bench.seeds] for d in p.head.values.tolist()])
    found = xr.DataArray(
        values, dims=("head", "seed", "what", "power"),
        coords={"head": p.head.values, "seed": list(bench.seeds), "power": powers.values},
    ).transpose("what", "head", "power", "seed")  # fmt: skip
    names = {
        "participation": "participation of the softmax, sum of squared weights",
        "entropy_share": "entropy of the softmax over ln T",
        "logit_std": "standard deviation of logits over keys",
    }
    return named({n: found[i] for i, n in enumerate(names)}, names).assign(
        slope=_constant(p, bench)
    )


def _constant(p: Any, bench: Bench) -> xr.DataArray:
    """Return m_T, the mean of the largest of T standard normals, which no seed decides."""
    found = xr.DataArray(random_energy.expected_largest(p.keys))
    found.attrs = {"long_name": "mean of the largest of T standard normals", "units": "1"}
    return found


def random_energies(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Participation and entropy of T independent Gaussian logits of the same scale."""

    def law(function: Callable[[float, int], float]) -> xr.DataArray:
        values = [
            [function(float(d) ** (0.5 - float(c)), p.keys) for c in run.power] for d in run["head"]
        ]
        return xr.DataArray(
            values, dims=("head", "power"), coords={"head": run["head"], "power": run.power}
        )

    return xr.Dataset(
        {
            "participation": law(random_energy.participation),
            "entropy_share": law(random_energy.entropy) / np.log(p.keys),
        }
    )


def drawn(
    bench: Bench, build: Callable[[], nn.Module], start: Callable[..., None], seed: int
) -> nn.Module:
    """Return one network, with no memory of others."""
    made = build()
    with torch.no_grad():
        start(made, bench.key(seed, "weights").torch())
    return made


def tokens(bench: Bench, seed: int, size: int, count: int = SEQUENCES) -> Tensor:
    return torch.randn(count, size, generator=bench.key(seed, "tokens").torch())


def condensed(run):
    """(1 - Y) sqrt(d) / m_T without division: 1 by the random-energy law of T keys."""
    left = 1 - run.participation.sel(power=0.0, drop=True)
    return left * run["head"] ** 0.5 / run.slope


def free(run):
    """Y with division over that of T independent logits N(0, 1)."""
    found = run.participation / run.predicted_participation
    return found.sel(power=0.5, drop=True)


BIRTH = Experiment(
    "random-head", "One random head of width d on T normed random tokens.", attention,
    prediction=random_energies, claims=(
        Claim("frozen", "Without division attention is frozen at birth: what is left of the "
              "softmax's Jacobian is $m_T/\\sqrt d$.", condensed, between(0.9, 1.1)),
        Claim("free", "With division it chooses among as many keys as independent normal logits.",
              free, between(0.9, 1.1)),
    ),
    figures=(
        Figure("birth-participation", "Participation; dashed, independent normal logits of one "
               "scale. Normed tokens of the control's width 4 are not that: all keys are as long.",
               draw.participation),
    ),
    control=Control("Heads of width 4 are too narrow to freeze.", {"head": (4,)}, ("frozen",)),
)  # fmt: skip
