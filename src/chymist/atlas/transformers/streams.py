"""Streams through blocks with random weights: an experiment of `transformer-initialisation`.

`p` is a cell of its parameters. Tokens are independent and standard normal.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chymist import instruments, models
from chymist.atlas.transformers import transformer_figures as draw
from chymist.atlas.transformers.arrangements import all_three, apart, constants, named
from chymist.atlas.transformers.birth import drawn, tokens
from chymist.bench import Bench
from chymist.claims import Claim, above, between
from chymist.study import Control, Experiment, Figure
from chymist.theory import residual_streams


def streams(p: Any, bench: Bench) -> xr.Dataset:
    """Second moments and token similarity after every residual, three places of the norm.

    Returns:
        variance and cosine (norm, seed, residual), before the norm of a Post-Norm; gain
        (norm, seed, residual), what the skip path has kept of the input there, relative to the
        stream (Pre-Norm: input over stream; Post-Norm: the product of what norms divide by).
    """
    rows = []
    for name in apart(p):
        alpha, beta = constants(p, name, p.blocks)
        build = partial(
            models.Transformer, p.stream_keys, p.stream_width, width=p.stream_width,
            blocks=p.blocks, place="pre" if name == "pre" else "post", alpha=alpha, causal=False,
        )  # fmt: skip
        start = partial(models.transformer_start, beta=beta)
        for seed in bench.seeds:
            network = drawn(bench, build, start, seed)
            x = tokens(bench, seed, p.stream_keys * p.stream_width, 4)
            # A residual's stream is what enters a norm: its own, or the next one's.
            layers = ["residuals.*.norm", *(["last"] if name == "pre" else [])]
            stream = instruments.second_moments(network, x, layers=layers).entering
            alike = instruments.token_similarity(network, x, layers).cosine
            norms = stream[1:].sqrt() if name == "pre" else stream.sqrt()
            if name == "pre":
                gain = (stream[:1] / stream[1:]).sqrt()
                # Norms change no cosines: what leaves the next norm is alike as what enters it.
                rows.append([stream[1:], alike[1:], gain])
            else:
                rows.append([stream, alike, (alpha / norms).cumprod(0)])
    values = np.array([[v.numpy() for v in row] for row in rows])
    values = values.reshape(len(apart(p)), len(bench.seeds), 3, -1)
    coords = {
        "norm": list(apart(p)), "seed": list(bench.seeds),
        "residual": range(1, 2 * p.blocks + 1),
    }  # fmt: skip
    found = {
        n: xr.DataArray(values[:, :, i], dims=tuple(coords), coords=coords)
        for i, n in enumerate(("variance", "cosine", "gain"))
    }
    return named({n: all_three(array) for n, array in found.items()}, {
        "variance": "second moment of the stream after a residual",
        "cosine": "mean cosine between tokens",
        "gain": "share of the input in the stream's size",
    })  # fmt: skip


def recursion(p: Any, run: xr.Dataset) -> xr.Dataset:
    """What random weights of infinite width do to variance, cosine and the input's share."""
    rows = []
    for name in run.norm.values.tolist():
        alpha, beta = constants(p, name, p.blocks)
        variance, cosine = residual_streams.token_streams(
            p.blocks, p.stream_keys, post=name != "pre", alpha=alpha, beta=beta
        )
        share = variance**-0.5 if name == "pre" else np.cumprod(alpha / np.sqrt(variance))
        rows.append([variance, cosine, share])
    values = np.array(rows)
    return xr.Dataset(
        {
            n: (("norm", "residual"), values[:, i])
            for i, n in enumerate(("variance", "cosine", "gain"))
        },
        coords={"norm": run.norm, "residual": run.residual},
    )


def pre_variance(run):
    """Pre-Norm: stream's variance over that of the recursion, geometric mean over residuals."""
    one = run.sel(norm="pre", drop=True)
    return np.exp(np.log(one.variance / one.predicted_variance).mean("residual"))


def post_rate(run):
    """Post-Norm: logarithm of the input's share at the end, over that of the recursion."""
    end = run.sel(norm="post", drop=True).isel(residual=-1, drop=True)
    return np.log(end.gain) / np.log(end.predicted_gain)


def deep_share(run):
    """DeepNorm: the input's share of the stream at the end."""
    return run.gain.sel(norm="deep", drop=True).isel(residual=-1, drop=True)


def collapse(run):
    """Mean cosine between tokens at the end, Post-Norm less DeepNorm."""
    end = run.cosine.isel(residual=-1, drop=True)
    return end.sel(norm="post", drop=True) - end.sel(norm="deep", drop=True)


STREAMS = Experiment(
    "random-streams", "Second moments of the stream through blocks with random weights.",
    streams, prediction=recursion, claims=(
        Claim("pre-grows", "Pre-Norm's stream gains variance as the recursion says, linearly.",
              pre_variance, between(0.95, 1.05)),
        Claim("post-forgets", "Post-Norm's skip path forgets the input at the recursion's "
              "exponential rate.", post_rate, between(0.95, 1.05)),
        Claim("deep-keeps", "DeepNorm keeps nine tenths of the input.", deep_share, above(0.9)),
        Claim("collapse", "Post-Norm makes all tokens alike, DeepNorm does not.",
              collapse, above(0.8)),
    ),
    figures=(
        Figure("stream-share", "What is left of the input; dashed, the recursion.", draw.share),
        Figure("stream-variance", "Variance of Pre-Norm's stream.", draw.variance),
        Figure("stream-cosine", "How alike tokens become.", draw.cosine),
    ),
    control=Control("Without its constants DeepNorm is Post-Norm.", {"constants": "plain"},
                    ("deep-keeps", "collapse")),
)  # fmt: skip
