"""Equations solved by networks with and without scales, for `multiscale-network`.

`p` is a cell of the study's parameters. Every network starts alike, sees the same points, and has
about as many parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from chymist import data, instruments, models, solvers
from chymist.atlas.frequency import multiscale_figures as draw
from chymist.bench import Bench, samples
from chymist.claims import Claim, above, between
from chymist.ensemble import every
from chymist.study import Control, Experiment, Figure

SETS = 64
"""Sets of points drawn before training, each a step's batch; then they come again."""
STRUCTURES = ("plain", "equal", "scales", "input")
"""One scale; as many networks of that scale; a network a scale; groups of neurons with scales."""
HALVED = float(np.log10(2))
"""log10 of an error over its half."""
Build = Callable[[], nn.Module]


def structures(p: Any, bench: Bench) -> xr.Dataset:
    """Solve -u'' = mu^2 sin(mu x) on a line by networks of every structure.

    Returns:
        error (network, seed, step); parameters (network, seed); by the clock, seconds
        (network, seed) of the processor.
    """
    problem = data.equation("poisson-line", p.mu)
    found = [
        _solved(p, bench, problem, network(p, name, 1, p.activation), f"{name} network")
        for name in STRUCTURES
    ]
    return _joined(found, "network", STRUCTURES)


def activations(p: Any, bench: Bench) -> xr.Dataset:
    """Solve it by networks with scales and every activation; error (activation, seed, step)."""
    problem = data.equation("poisson-line", p.mu)
    names = p.activations.split("-")
    found = [
        _solved(p, bench, problem, network(p, "scales", 1, name), f"{name} network")
        for name in names
    ]
    return _joined(found, "activation", names)


def equations(p: Any, bench: Bench) -> xr.Dataset:
    """Solve several equations by a plain network, by one with scales and by Fourier features.

    In a plane by half of mu. Returns error (equation, network, seed, step) and the rest of it.
    """
    names = p.equations.split("+")
    solved = []
    for name in names:
        plane = name.partition("-")[2] not in ("line", "chirp")
        strength = p.wave if name.startswith("helmholtz") else p.decay
        own = p.model_copy(update={"mu": p.mu / 2}) if plane else p
        problem = data.equation(name, own.mu, strength)
        dims = problem.domain.dims
        found = [
            _solved(own, bench, problem, network(p, kind, dims, p.activation), f"{kind}, {name}")
            for kind in ("plain", "scales", "fourier")
        ]
        solved.append(_joined(found, "network", ("plain", "scales", "fourier")))
    return _joined(solved, "equation", names)


def network(p: Any, structure: str, dims: int, activation: str, *, apart: bool = False) -> Build:
    """Return what builds a network of a structure; a plain one is one whose scale is `stretch`.

    With `apart` those of scales put out their networks' contributions side by side.
    """
    scales = scales_of(p.scales)
    layers, parts = (_sizes(text) for text in (p.layers, p.parts))
    if structure == "input":
        return lambda: models.MultiScaleInput(scales, dims, *layers, 1, activation=activation)
    if structure == "fourier":
        # As many features as the first layer has neurons, about, and as many parameters.
        half = layers[0] // 2
        total = models.count_parameters(dims, layers[0], len(layers))
        width = models.matched_width(2 * half, len(layers) - 1, total)
        sizes = [2 * half, *[width] * (len(layers) - 1), 1]
        return lambda: models.Encoded(
            models.gaussian(half, dims), models.MLP(*sizes, activation="tanh")
        )
    used, own = {
        "plain": ([p.stretch], layers),
        "equal": ([p.stretch] * len(scales), parts),
        "scales": (scales, parts),
    }[structure]
    return lambda: models.MultiScale(
        lambda: models.MLP(dims, *own, 1, activation=activation), used, apart=apart
    )


def scales_of(text: str, spacing: float | None = None) -> list[float]:
    """Read scales such as "1-2-4"; "auto" is six, up to a third of the highest frequency seen."""
    if text == "auto":
        largest = np.pi / (spacing or 0.05) / 3
        return models.geometric_scales(6, max(1.0, float(largest)))
    return [float(part) for part in text.split("-")]


def _sizes(text: str) -> list[int]:
    return [int(part) for part in text.split("-")]


def _start(module: nn.Module, generator: torch.Generator, *, sigma: float) -> None:
    models.glorot_normal_start(module, generator)
    models.gaussian_frequencies(module, generator, sigma=sigma)


def _solved(p: Any, bench: Bench, problem: data.Equation, build: Build, label: str) -> xr.Dataset:
    """Train networks of one shape on one equation; error (seed, step), parameters and seconds."""
    dims, seeds = problem.domain.dims, list(bench.seeds)
    inside, border = (p.points, 2) if dims == 1 else (2 * p.points, 2 * p.points // 5)
    x, y = data.equation_samples(
        problem, [bench.key(s, "points").numpy() for s in seeds], seeds,
        inside=inside, border=border, sets=SETS,
    )  # fmt: skip
    # Fourier features are told the solution's frequency, in cycles; nothing else is.
    networks = bench.networks(
        lambda: models.WithDerivatives(build(), laplacian=not problem.elliptic),
        partial(_start, sigma=p.mu / (2 * np.pi)),
    )
    fine = _fine(problem)
    truth = xr.DataArray(problem.solution(fine), dims="sample")
    loss = models.ritz if problem.elliptic else models.strong_residual
    began = time.process_time()
    run = bench.train(
        networks, solvers.Adam(p.lr), x, y, steps=p.steps, loss=partial(loss, penalty=p.penalty),
        batch=inside + border, shuffle=False, label=label,
        record={instruments.relative_distance(samples(fine), truth): every(p.steps // 40)},
    ).data  # fmt: skip
    seconds = (time.process_time() - began) / len(seeds)
    count = sum(w[0].numel() for w in networks.parameters.values())
    one = np.ones(len(seeds))
    return xr.Dataset({
        "error": run.error.transpose("seed", "step"),
        "parameters": ("seed", count * one, {"long_name": "parameters", "units": "1"}),
        "seconds": ("seed", seconds * one, {"long_name": "time of a training", "units": "s",
                                            "clock": "processor"}),
    }, {"seed": seeds})  # fmt: skip


def _fine(problem: data.Equation) -> np.ndarray:
    """Points on which solutions are compared, the same for all."""
    if problem.domain.dims == 1:
        return np.linspace(-1, 1, 1001)[:, None]
    return problem.domain.inside(np.random.Generator(np.random.Philox(key=0)), 2500)


def _joined(found: Sequence[xr.Dataset], dim: str, names: Sequence[str]) -> xr.Dataset:
    joined: xr.Dataset = xr.concat(found, dim, join="exact", combine_attrs="override")
    return joined.assign_coords({dim: list(names)})


def late(error: xr.DataArray) -> xr.DataArray:
    """The least error in the last tenth of the updates: at a fixed one it bounces."""
    least: xr.DataArray = error.sel(step=slice(0.9 * float(error.step[-1]), None)).min("step")
    return least


def log_ratio(run: xr.Dataset, of: Mapping[str, str], to: Mapping[str, str]) -> xr.DataArray:
    """log10 of the late error of one network over that of another."""
    error = late(run.error)
    ratio: Any = np.log10(error.sel(of, drop=True) / error.sel(to, drop=True))
    return xr.DataArray(ratio)


def scales_help(run: xr.Dataset) -> xr.DataArray:
    """log10 of the plain network's error over that of the one with scales."""
    found: Any = log_ratio(run, {"network": "plain"}, {"network": "scales"})
    return xr.DataArray(found)


def half_the_updates(run: xr.Dataset) -> xr.DataArray:
    """The same, the network with scales having had half of the updates."""
    half = run.error.sel(network="scales", step=slice(None, run.step[-1] / 2), drop=True)
    found: Any = np.log10(late(run.error).sel(network="plain", drop=True) / late(half))
    return xr.DataArray(found)


def beside_equal(run: xr.Dataset) -> xr.DataArray:
    """log10 of the error with equal scales over that with different ones."""
    found: Any = log_ratio(run, {"network": "equal"}, {"network": "scales"})
    return xr.DataArray(found)


def splitting(run: xr.Dataset) -> xr.DataArray:
    """The plain network's error over that of as many networks of equal scales."""
    return 10 ** log_ratio(run, {"network": "plain"}, {"network": "equal"})


def one_network(run: xr.Dataset) -> xr.DataArray:
    """log10 of the plain network's error over that of one with scaled groups of neurons."""
    found: Any = log_ratio(run, {"network": "plain"}, {"network": "input"})
    return xr.DataArray(found)


def over_usual(names: Sequence[str], run: xr.Dataset) -> xr.DataArray:
    """log10 of the lesser error of tanh and ReLU over that of another activation."""
    error = late(run.error)
    usual = error.sel(activation=["tanh", "relu"]).min("activation")
    found: Any = np.log10(usual / error.sel(activation=[n for n in names if n in run.activation]))
    return xr.DataArray(found)


SCALES = Experiment(
    "scales", r"$-u'' = \mu^2 \sin \mu x$ on $[-1, 1]$ by four networks of about 3600 parameters, "
    "which minimise its energy.", structures, claims=(
        Claim("scales-help", "A network a scale has at most a third of a plain network's error.",
              scales_help, above(0.5)),
        Claim("half-the-updates", "So it has with half of the updates, which cost as much.",
              half_the_updates, above(0.5)),
        Claim("not-the-splitting", "As many networks of one scale do not do it.",
              beside_equal, above(0.5)),
        Claim("splitting-alone", "They are as good as a plain network.",
              splitting, between(0.5, 2)),
        Claim("one-network", "Groups of neurons with scales in one network do it as well.",
              one_network, above(0.5)),
    ),
    figures=(Figure("scales-errors", "Relative error over updates: median and range of seeds.",
                    partial(draw.errors, "network", "input stretched 16 times (control)")),),
    control=Control("Where the input is stretched by hand, near the frequency of the solution, a "
                    "plain network needs no scales: they save knowing it.",
                    {"stretch": 16.0}, ("scales-help", "not-the-splitting")),
)  # fmt: skip


ACTIVATION = Experiment(
    "activations", "The same equation by networks with scales and five activations.", activations,
    claims=(
        Claim("sine-first", "Within scales the sine has at most half the error of tanh and ReLU.",
              partial(over_usual, ("sin",)), above(HALVED)),
        Claim("compact-first", "Less than theirs have phi and sReLU, zero outside an interval.",
              partial(over_usual, ("phi", "srelu")), above(0)),
    ),
    figures=(Figure("activation-errors", "Relative error over updates, by activation.",
                    partial(draw.errors, "activation", "all scales 1 (control)")),),
    control=Control("Without scales the sine is no better than ReLU.",
                    {"scales": "1-1-1-1-1-1", "activations": "sin-tanh-relu"}, ("sine-first",)),
)  # fmt: skip


EQUATIONS = Experiment(
    "equations", "More equations: of Poisson in a plane, of Poisson and Boltzmann, and, by its "
    "squared residual, of Helmholtz; beside them Fourier features that are told the frequency.",
    equations, claims=(
        Claim("every-equation", "In each a network a scale has at most half of a plain network's "
              "error.", scales_help, above(HALVED)),
    ),
    figures=(Figure("equation-errors", "Relative error over updates, by equation; of Fourier "
                    "features nothing is claimed.", draw.by_equation),),
    control=Control("Where the input is stretched by hand, a plain network needs none.",
                    {"stretch": 16.0, "equations": "boltzmann-line"}, ("every-equation",)),
)  # fmt: skip
