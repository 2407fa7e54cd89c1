"""Fits by networks with and without scales, for `multiscale-network`: who carries which band.

`p` is a cell of the study's parameters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy.interpolate import griddata

from chymist import data, instruments, models, solvers, stats
from chymist.atlas.frequency import multiscale_figures as draw
from chymist.atlas.frequency.multiscale_equations import HALVED, network, scales_help, scales_of
from chymist.bench import Bench, samples
from chymist.claims import Claim, above, between
from chymist.ensemble import every
from chymist.study import Control, Experiment, Figure
from chymist.theory import dual_activations, infinite_width, stretching

GRID = 512
"""Points of the line on which contributions are analysed."""
POINTS = 256
"""Points that are fitted, but for the user's own."""


def fit(p: Any, bench: Bench) -> xr.Dataset:
    """Fit values on a line, or the user's, by networks of three structures.

    Without a file the target is exp(-x^2) sin(70 x^2); the smooth one is sin(pi x), on the user's
    points too. Every fourth of these is held out, and the error is taken there; else on a finer
    grid.

    Returns:
        error (network, seed, step); amplitude (scale, band, seed), the amplitude of what each
        network has learnt at angular frequencies pi `band`; wanted (seed, band), that of the
        target less the start; centre (scale, seed), the mean frequency of what was learnt.
    """
    x, y, tested, truth, spacing = _points(p, bench)
    dims = x.shape[1]
    scales = scales_of(p.scales, spacing)
    given = p.model_copy(update={"scales": "-".join(f"{s:.6g}" for s in scales), "stretch": 1.0})
    errors, learnt, rest = [], np.empty(0), np.empty(0)
    line = _line(dims)
    for name in ("plain", "equal", "scales"):
        build = network(given, name, dims, "sin", apart=True)
        record = {distance(tested, truth): every(p.steps // 40)}
        apart = _contributions(line, 1 if name == "plain" else len(scales))
        run = bench.train(
            bench.networks(build, models.glorot_normal_start), solvers.Adam(p.lr), samples(x),
            samples(y[:, None]), steps=p.steps, loss=models.penalised_error, label=f"{name} fit",
            record={**record, apart: lambda steps: [0, steps]},
        ).data  # fmt: skip
        errors.append(run.error.transpose("seed", "step"))
        if name == "scales":
            parts = run.parts.transpose("step", "part", "seed", "sample").values
            learnt, rest = parts[-1] - parts[0], _on_line(p, bench, line) - parts[0].sum(axis=0)
    amplitude = _amplitudes(learnt)
    bands = np.arange(1, amplitude.shape[-1] + 1)
    centre = (amplitude**2 * np.pi * bands).sum(-1) / (amplitude**2).sum(-1)
    over = ("scale", "seed", "band")
    says = {"long_name": "amplitude of a contribution", "units": "1"}
    error = xr.concat(errors, "network", join="exact")
    return xr.Dataset({
        "error": error.assign_attrs(long_name="relative L2 error", units="1"),
        "amplitude": (over, amplitude, says),
        "wanted": (over[1:], _amplitudes(rest), {"long_name": "amplitude left to be learnt",
                                                 "units": "1"}),
        "centre": (over[:2], centre, {"long_name": "mean frequency of a contribution",
                                      "units": "1"}),
    }, {"network": ["plain", "equal", "scales"], "scale": scales, "band": bands,
        "seed": list(bench.seeds)})  # fmt: skip


def shares(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return the contributions if the tangent kernel stays what it is at infinite width.

    Of a band every network learns a share in proportion to its own rate there.
    """
    x = ((np.arange(GRID) + 0.5) / GRID * 2 - 1)[:, None]
    # Through the window that the amplitudes were seen through.
    waves = np.hanning(GRID) * np.sin(np.pi * run.band.values[:, None] * x[:, 0])
    own = partial(kernel, p)
    rates = np.array([
        stretching.wave_rates(stretching.stretched_kernel(own, x, [s]), waves)
        for s in run.scale.values.tolist()
    ])  # fmt: skip
    share = xr.DataArray(rates / rates.sum(axis=0), {"scale": run.scale, "band": run.band})
    power = (share * run.wanted) ** 2
    centre = (power * np.pi * run.band).sum("band") / power.sum("band")
    return xr.Dataset({
        "amplitude": (share * run.wanted).transpose(*run.amplitude.dims),
        "centre": centre.transpose(*run.centre.dims),
    })  # fmt: skip


def kernel(p: Any, x: np.ndarray) -> np.ndarray:
    """The tangent kernel of one of the networks of sines, infinitely wide, started like it."""
    widths = [int(n) for n in p.parts.split("-")]
    return infinite_width.kernels(
        x, x, dual_activations.sine(), len(widths), bias_variance=1 / widths[0],
        first_variance=2 * x.shape[1] / (widths[0] + x.shape[1]),
    ).ntk  # fmt: skip


def _points(p: Any, bench: Bench) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Return points and values to fit, points and values to be judged by, and the spacing."""
    if bench.input is not None:
        points = bench.input.point.values
        values = _target(p, points) if p.target == "smooth" else bench.input.value.values
        tested = np.arange(len(points)) % 4 == 3
        return (points[~tested], values[~tested], points[tested], values[tested],
                float(bench.input.attrs["spacing"]))  # fmt: skip

    x = ((np.arange(POINTS) + 0.5) / POINTS * 2 - 1)[:, None]
    fine = np.linspace(-1, 1, 1001)[:, None]
    return x, _target(p, x), fine, _target(p, fine), data.spacing(x)


def _target(p: Any, x: np.ndarray) -> np.ndarray:
    if p.target == "smooth":
        smooth: np.ndarray = np.sin(np.pi * x[:, 0])
        return smooth
    chirp: np.ndarray = np.exp(-(x[:, 0] ** 2)) * np.sin(70 * x[:, 0] ** 2)
    return chirp


def _on_line(p: Any, bench: Bench, line: np.ndarray) -> np.ndarray:
    """The target along the line; of the user's points what is nearest, on a line in between."""
    if bench.input is None or p.target == "smooth":
        return _target(p, line)
    points, values = bench.input.point.values, bench.input.value.values
    if points.shape[1] == 1:
        order = np.argsort(points[:, 0])
        return np.interp(line[:, 0], points[order, 0], values[order])
    nearest: np.ndarray = griddata(points, values, line, method="nearest")
    return nearest


def _line(dims: int) -> np.ndarray:
    """The middle of the domain along its first axis."""
    line = np.zeros((GRID, dims))
    line[:, 0] = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    return line


def _contributions(line: np.ndarray, count: int) -> instruments.Instrument:
    """What each network contributes, on a line."""
    placed = torch.as_tensor(line)
    return instruments.Instrument(
        "parts", lambda now: now.predict(placed.to(now.x)).mT, ("part", "sample"),
        {"part": range(count), "sample": range(len(line))}, long_name="contribution of a network",
    )  # fmt: skip


def _amplitudes(values: np.ndarray) -> np.ndarray:
    """Amplitudes at frequencies pi, 2 pi, ... up to 64 pi, through a Hann window."""
    window = np.hanning(values.shape[-1])
    values = (values - values.mean(axis=-1, keepdims=True)) * window / window.mean()
    found: np.ndarray = 2 * abs(np.fft.rfft(values, norm="forward"))[..., 1:65]
    return found


def distance(points: np.ndarray, truth: Any) -> instruments.Instrument:
    """Relative L2 distance of the sum of outputs."""
    if not isinstance(truth, xr.DataArray):
        truth = xr.DataArray(truth, dims="sample")
    return instruments.relative_distance(samples(points), truth, total=True)


def order(run: xr.Dataset) -> xr.DataArray:
    """Spearman's correlation of the scales and the mean frequencies of the contributions."""
    found: Any = stats.spearman(run.centre.scale, run.centre, "scale")
    return xr.DataArray(found)


def off_centre(run: xr.Dataset) -> xr.DataArray:
    """Root mean square over scales of log10 of mean frequency over what the kernel foretells."""
    apart = np.log10(run.centre / run.predicted_centre)
    found: Any = np.sqrt((apart**2).mean("scale"))
    return xr.DataArray(found)


FIT = Experiment(
    "values", "Values on a line or a plane, fitted by three networks: your own, or a chirp.", fit,
    prediction=shares, claims=(
        Claim("fit-halved", "A network a scale has at most half of a plain network's error.",
              scales_help, above(HALVED)),
        Claim("own-band", "The larger a network's scale, the higher the frequencies it carries.",
              order, above(0.8)),
        Claim("band-foretold", "Over the scales, the mean frequency is within a factor of two of "
              "what the kernel of the start foretells.", off_centre, between(0, HALVED)),
    ),
    figures=(
        Figure("fit-errors", "Relative error over updates.",
               partial(draw.errors, "network", "sin(pi x) (control)")),
        Figure("fit-bands", "What each network has learnt, by frequency.", draw.bands),
        Figure("fit-centres", "Mean frequency of each contribution; dashed, if the kernel of the "
               "start stayed.", draw.centres),
    ),
    control=Control("A smooth target needs no scales.", {"target": "smooth"}, ("fit-halved",)),
    reads="point",
)  # fmt: skip
