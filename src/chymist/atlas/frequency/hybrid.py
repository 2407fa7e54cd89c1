"""A network that hands over to Jacobi sweeps, for `jacobi-contrast`: how many, and at what cost.

`p` is a cell of the study's parameters. Costs are counted in additions and multiplications, since
seconds depend on the machine and on who else uses it; seconds of the processor are kept beside.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy.fft import dstn, idstn

from chymist import data, instruments, models, solvers
from chymist.atlas.frequency.contrast import box_network
from chymist.bench import Bench, samples
from chymist.theory import relaxation

A_SWEEP = 5
"""Operations of a Jacobi sweep at w = 1, a point."""
A_CYCLE = 27
"""Operations of a V-cycle, a point of the finest grid."""
LIMIT = 10**7
"""Most sweeps."""


def hand_over(p: Any, bench: Bench) -> xr.Dataset:
    """Solve Poisson's equation on a square by Jacobi sweeps, from zero and from a network.

    The network minimises the Ritz energy on a coarse grid; after `switch` updates its values on the
    fine grid are where the sweeps (w = 1) start. All end where the largest error, from the exact
    solution of the discrete equation, is below `eps`.

    Returns:
        sweeps (switch, seed); sweeps_alone (seed), from zero; cycles (seed), V-cycles from zero;
        left (switch, seed), the largest error at the switch, over eps; mode (switch, seed, k, l),
        its lower sine coefficients; operations (switch, seed) of the network until the switch;
        work (switch, seed) of all, work_alone (seed) and work_cycles (seed), all in operations;
        by the clock, in seconds of the processor: seconds (switch, seed), a network's share of the
        training's, seconds_alone (seed), seconds_cycles (seed), seconds_direct (seed).
    """
    n, switch = p.grid, sorted({int(s) for s in p.switch.split("-")})
    f, f_coarse = _source(p, bench)
    b, b_coarse = f / n**2, f_coarse / p.coarse**2
    began = time.process_time()
    u = solvers.poisson_dst(b)
    direct = time.process_time() - began
    size = abs(u).max() if bench.input is not None else 1.0
    u, b, b_coarse = u / size, b / size, b_coarse / size

    began = time.process_time()
    alone, _ = solvers.jacobi_until(np.zeros_like(u), b, u, p.eps, limit=LIMIT)
    alone_seconds = time.process_time() - began
    began = time.process_time()
    cycles = _cycles(u, b, p.eps)
    cycles_seconds = time.process_time() - began

    networks = bench.networks(
        box_network(2, p.square_layers), partial(models.gaussian_start, first_gain=p.square_gain)
    )
    inside = torch.as_tensor(_points(n), dtype=bench.dtype)
    fine = instruments.Instrument(
        "fine", lambda now: now.predict(inside.to(now.x))[..., 0], ("point",),
        {"point": range(len(inside))}, long_name="values on the fine grid",
    )  # fmt: skip
    began = time.process_time()
    run = bench.train(
        networks, solvers.Adam(p.square_lr), samples(_points(p.coarse)), samples(b_coarse.ravel()),
        steps=switch[-1], loss=partial(models.ritz_discrete, dims=2),
        record={fine: lambda steps: switch}, label="Ritz network",
    ).data  # fmt: skip
    training = (time.process_time() - began) / len(bench.seeds)

    handed = run.fine.transpose("step", "seed", "point").values.astype(float)
    starts = handed.reshape(-1, len(bench.seeds), *u.shape)
    sweeps, left, seconds = (np.zeros(starts.shape[:2]) for _ in range(3))
    low = min(n - 1, n // 4)
    modes = np.zeros((*starts.shape[:2], low, low))
    for i, j in np.ndindex(starts.shape[:2]):
        start = starts[i, j]
        left[i, j] = abs(start - u).max() / p.eps
        modes[i, j] = instruments.dst_modes(start - u, 2)[:low, :low]
        began = time.process_time()
        sweeps[i, j], _ = solvers.jacobi_until(start, b, u, p.eps, limit=LIMIT)
        seconds[i, j] = time.process_time() - began + training * switch[i] / switch[-1]
        bench.progress("Jacobi from networks", i * len(bench.seeds) + j + 1, left.size)

    weights = sum(w[0].numel() for w in networks.parameters.values() if w.ndim == 3)
    # Forwards two operations a weight and point, backwards four; then once on the fine grid.
    updates = 6.0 * weights * (p.coarse - 1) ** 2 * np.array(switch) + 2.0 * weights * u.size
    own = np.broadcast_to(updates[:, None], sweeps.shape)
    over, one = ("switch", "seed"), np.ones(len(bench.seeds))
    return xr.Dataset({
        "sweeps": (over, sweeps, _says("Jacobi sweeps from the network")),
        "sweeps_alone": ("seed", alone * one, _says("Jacobi sweeps from zero")),
        "cycles": ("seed", cycles * one, _says("V-cycles from zero")),
        "left": (over, left, _says("largest error at the switch / eps")),
        "mode": ((*over, "k", "l"), modes, _says("sine coefficient of the error at the switch")),
        "operations": (over, own, _says("operations of the network")),
        "work": (over, own + A_SWEEP * u.size * sweeps, _says("operations of the hybrid")),
        "work_alone": ("seed", A_SWEEP * u.size * alone * one, _says("operations of Jacobi")),
        "work_cycles": ("seed", A_CYCLE * u.size * cycles * one, _says("operations of V-cycles")),
        "seconds": (over, seconds, _timed("processor time of the hybrid")),
        "seconds_alone": ("seed", alone_seconds * one, _timed("processor time of Jacobi")),
        "seconds_cycles": ("seed", cycles_seconds * one, _timed("processor time of V-cycles")),
        "seconds_direct": ("seed", direct * one, _timed("processor time of sine transforms")),
    }, {"switch": switch, "seed": list(bench.seeds), "k": range(1, low + 1),
        "l": range(1, low + 1)}, {"grid": n, "eps": p.eps})  # fmt: skip


def sweeps_theory(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return the sweeps that the sines of the error at the switch still need, each by its factor.

    From the lower quarter of the sines in each direction; the error at the switch is what the
    sweeps start from, so nothing later is used.
    """
    factor = relaxation.jacobi_factor(run.k, run.l, intervals=p.grid).transpose("k", "l").values
    needed = xr.apply_ufunc(
        partial(relaxation.sweeps_needed, factor=factor, eps=p.eps), run["mode"],
        input_core_dims=[["k", "l"]], vectorize=True,
    )  # fmt: skip
    return xr.Dataset({"sweeps": needed.astype(float)})


def _source(p: Any, bench: Bench) -> tuple[np.ndarray, np.ndarray]:
    """Return f on the inner points of the fine grid and of the coarse one."""
    if bench.input is not None:
        given = bench.input.source.values
        own = [data.area_average(given, n - 1) for n in (p.grid, p.coarse)]
        if p.source == "high":
            own = [_without_low(f, p.grid // 8) for f in own]
        return own[0], own[1]
    if p.source == "high":
        n = p.grid // 8
        waves = ((n, n, 1.0), (n, n + 4, 0.5), (n + 4, n, 0.25))
    else:
        waves = ((1, 1, 1.0), (2, 1, 0.5), (16, 16, 0.05))
    sides = []
    for n in (p.grid, p.coarse):
        x, y = np.meshgrid(*[np.arange(1, n) / n] * 2, indexing="ij")
        terms = [
            a * np.pi**2 * (k * k + m * m) * np.sin(k * np.pi * x) * np.sin(m * np.pi * y)
            for k, m, a in waves
        ]
        sides.append(np.sum(terms, 0))
    return sides[0], sides[1]


def _without_low(f: np.ndarray, first: int) -> np.ndarray:
    """Keep the modes from `first` up to twice that in each direction."""
    mode = np.arange(1, len(f) + 1)
    kept = (mode >= first) & (mode <= 2 * first)
    high: np.ndarray = idstn(dstn(f, type=1) * np.outer(kept, kept), type=1)
    return high


def _points(n: int) -> np.ndarray:
    """Inner points (sample, 2) of the square from -1 to 1 with n intervals a side."""
    inside = np.linspace(-1, 1, n + 1)[1:-1]
    return np.stack([a.ravel() for a in np.meshgrid(inside, inside, indexing="ij")], axis=1)


def _cycles(u: np.ndarray, b: np.ndarray, eps: float) -> int:
    """V-cycles from zero until the largest error is below eps."""
    now, done = np.zeros_like(u), 0
    while abs(now - u).max() >= eps:
        now, done = solvers.multigrid_v(now, b), done + 1
    return done


def _says(long_name: str) -> dict[str, str]:
    return {"long_name": long_name, "units": "1"}


def _timed(long_name: str) -> dict[str, str]:
    return {"long_name": long_name, "units": "s", "clock": "processor"}
