"""Gradient descent on a product of two numbers: an experiment of `edge-of-stability`.

L(x, y) = (1 - x^2 y^2)^2 / 4 has minima x y = 1 of every sharpness from 4 on, and gradient flow
ends at one that is known in closed form. `p` is a cell of the study's parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist.atlas.dynamics import edge_figures as draw
from chymist.bench import Bench
from chymist.claims import Claim, above, between
from chymist.study import Control, Experiment, Figure
from chymist.theory import stability

FOUND = 1e-10
"""Loss below which descent has ended."""


def descend(p: Any, bench: Bench) -> xr.Dataset:
    """Where gradient descent ends, dims (product_lr, seed, begin): NaN where it does not end.

    Starts are drawn by seed, x in [5, 10] and y in [0.03, 0.1]. On the quadratic, x^2 flow / 2 with
    the sharpness at which gradient flow ends on the product, there is one sharpness.
    """
    begin = {"begin": range(p.starts)}
    x = bench.draw("x", lambda key: xr.DataArray(key.uniform(5, 10, p.starts), begin))
    y = bench.draw("y", lambda key: xr.DataArray(key.uniform(0.03, 0.1, p.starts), begin))
    flow = stability.product_flow_sharpness(x, y)
    ends = [_end(x.values, y.values, flow.values, lr, p) for lr in p.product_lr.values]
    axes = {**p.product_lr.coords, "seed": list(bench.seeds), **begin}
    final = xr.DataArray(np.stack(ends), axes, tuple(axes))
    final.attrs = {"long_name": "sharpness where gradient descent ends", "units": "1"}
    flow.attrs = {"long_name": "sharpness where gradient flow ends", "units": "1"}
    return xr.Dataset({"final": final, "flow": flow})


def _end(x: Any, y: Any, flow: Any, lr: float, p: Any) -> np.ndarray[Any, Any]:
    """Return the sharpness at the minimum that is reached, NaN where none is."""
    quadratic = p.landscape == "quadratic"
    # What diverges becomes infinite, then NaN, and stays so.
    with np.errstate(all="ignore"):
        for _ in range(p.product_steps // 100):
            for _ in range(100):
                if quadratic:
                    x = x - lr * flow * x
                else:
                    slope = lr * (1 - (x * y) ** 2) * x * y
                    x, y = x + slope * y, y + slope * x
            loss = flow * x**2 / 2 if quadratic else (1 - (x * y) ** 2) ** 2 / 4
            if ((loss < FOUND) | ~np.isfinite(loss)).all():
                break
    sharp = flow if quadratic else 2 * (x**2 + y**2)
    found: np.ndarray[Any, Any] = np.where(loss < FOUND, sharp, np.nan)
    return found


def stays(p: Any, run: xr.Dataset) -> xr.Dataset:
    """The lower of two: where gradient flow ends, and 2 / lr."""
    edge = stability.gradient_descent(p.product_lr)
    return xr.Dataset({"final": xr.where(run.flow < edge, run.flow, edge)})


def beyond(run):
    return run.flow > run.predicted_final


def edge_ratio(run):
    """Final sharpness / (2 / lr), mean over starts from which flow ends beyond 2 / lr."""
    return (run.final / run.predicted_final).where(beyond(run)).mean("begin")


def flow_error(run):
    """Largest |final sharpness / that of flow - 1| of starts from which flow ends below 2 / lr."""
    return abs(run.final / run.flow - 1).where(~beyond(run)).max("begin")


def survivors(run):
    """Share that ends at a minimum, of the starts from which flow ends beyond 2 / lr."""
    return run.final.notnull().where(beyond(run)).mean("begin")


PRODUCT = Experiment(
    "product", r"Gradient descent on $(1 - x^2 y^2)^2 / 4$ from random starts.", descend,
    prediction=stays, claims=(
        Claim("flatter", "Where flow would end beyond 2 / lr, descent ends just below it.",
              edge_ratio, between(0.99, 1)),
        Claim("as-flow", "Where flow ends below 2 / lr, descent ends as sharp.",
              flow_error, between(0, 1e-3)),
        Claim("arrives", "Beyond 2 / lr some starts arrive at a minimum all the same.",
              survivors, above(0)),
    ),
    figures=(
        Figure("product", "Where descent ends against where flow does; dashed, 2 / lr. Starts that "
               "are missing have diverged.", draw.ends),
    ),
    control=Control("On a quadratic beyond 2 / lr all diverge: hovering needs what bends.",
                    {"landscape": "quadratic"}, ("arrives",)),
)  # fmt: skip
