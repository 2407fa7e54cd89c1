"""The scale of Gaussian features: an experiment of `image-memorisation` with its theory.

`p` is a cell of the study's parameters.
"""

from __future__ import annotations

from typing import Any

import xarray as xr

from chymist import data, instruments, stats
from chymist.atlas.frequency import image_figures as draw
from chymist.atlas.frequency.drawing import train
from chymist.bench import Bench
from chymist.claims import Claim, above, between
from chymist.study import Control, Experiment, Figure
from chymist.theory import coordinate_kernel


def scales(p: Any, bench: Bench) -> xr.Dataset:
    """PSNR at the end of Gaussian features of many scales, at two resolutions an octave apart.

    Photographs are grey here: one channel is what kernel regression is compared with.

    `score` repeats the one by which `p.judged_on` says that scales are compared.
    """
    runs = []
    for size in (p.size // 2, p.size):
        shown = data.grey(data.pictures(size, kind=p.pictures, drawn_at=p.size))
        held_out = data.split_pixels(shown, held_out=True)
        judges = instruments.training_psnr(), instruments.held_out_psnr(*held_out)
        record = dict.fromkeys(judges, lambda steps: [steps])
        x, y = data.split_pixels(shown)
        run = train(p, bench, "gaussian", p.sigma, x, y, p.scale_steps, record)
        runs.append(run.isel(step=0, drop=True))
    run = xr.concat(runs, xr.DataArray([p.size // 4, p.size // 2], dims="pixels", name="pixels"))
    return run.assign(score=run.test_psnr if p.judged_on == "held-out" else run.train_psnr)


def interpolation(p, run):
    """Held-out PSNR of kernel regression, which is where training without end would lead."""
    if run.pixels.max() > coordinate_kernel.LARGEST:
        return xr.Dataset()
    table = [[[coordinate_kernel.interpolation_psnr(one, sigma, 3) for sigma in run.sigma.values]
              for one in data.grey(data.pictures(2 * n, kind=p.pictures,
                                                 drawn_at=p.size)).values[..., 0]]
             for n in run.pixels.values.tolist()]
    axes = {d: run[d] for d in ("pixels", "image", "sigma")}
    return xr.Dataset({"test_psnr": xr.DataArray(table, axes, tuple(axes))})


def fall(run):
    """PSNR at the best scale less PSNR at the largest, in dB, mean over pictures."""
    score = run.score.mean("image")
    return score.max("sigma") - score.isel(sigma=-1, drop=True)


def octaves_apart(run):
    """log2(best scale at the finer resolution / at the coarser), vertices of parabolas."""
    return stats.best_octave(run.score.mean("image")).diff("pixels").isel(pixels=0, drop=True)


SCALE = Experiment(
    "scale", "Gaussian features of six scales draw photographs at two resolutions.", scales,
    prediction=interpolation,
    claims=(
        Claim("interior", "Beyond the best scale held-out PSNR falls by more than 3 dB.",
              fall, above(3)),
        Claim("doubling", "Twice the resolution, twice the best scale: one octave, to the nearest.",
              octaves_apart, between(0.5, 1.5)),
    ),
    figures=(Figure("scales", "Quality against scale; dashed, kernel regression.", draw.scales),),
    control=Control("On the pixels trained on, a larger scale is no worse: the fall is aliasing.",
                    {"judged_on": "training"}, ("interior",)),
)  # fmt: skip
