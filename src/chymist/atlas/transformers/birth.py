"""Transformers at their start, not trained or by one step, as `transformer-initialisation` asks.

`p` is a cell of its parameters. Tokens are independent and standard normal unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional

from chymist import data, instruments, models
from chymist.bench import Bench, samples
from chymist.solvers import Adam, GradientDescent, RescaledAdam
from chymist.theory import random_energy, residual_streams

ARRANGEMENTS = ("pre", "post", "deep")
"""Pre-Norm, Post-Norm, and DeepNorm, which is Post-Norm with constants."""
SEQUENCES = 8
VOCABULARY = 16


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
        network = _network(bench, build, partial(models.transformer_start, division=0.0), seed)
        x = _tokens(bench, seed, p.keys * width).unflatten(1, (p.keys, width))
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
    return _named({n: found[i] for i, n in enumerate(names)}, names).assign(
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


def streams(p: Any, bench: Bench) -> xr.Dataset:
    """Second moments and token similarity after every residual, three places of the norm.

    Returns:
        variance and cosine (norm, seed, residual), before the norm of a Post-Norm; gain
        (norm, seed, residual), what the skip path has kept of the input there, relative to the
        stream (Pre-Norm: input over stream; Post-Norm: the product of what norms divide by).
    """
    rows = []
    for name in _apart(p):
        alpha, beta = _constants(p, name, p.blocks)
        build = partial(
            models.Transformer, p.stream_keys, p.stream_width, width=p.stream_width,
            blocks=p.blocks, place="pre" if name == "pre" else "post", alpha=alpha, causal=False,
        )  # fmt: skip
        start = partial(models.transformer_start, beta=beta)
        for seed in bench.seeds:
            network = _network(bench, build, start, seed)
            x = _tokens(bench, seed, p.stream_keys * p.stream_width, 4)
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
    values = values.reshape(len(_apart(p)), len(bench.seeds), 3, -1)
    coords = {
        "norm": list(_apart(p)), "seed": list(bench.seeds),
        "residual": range(1, 2 * p.blocks + 1),
    }  # fmt: skip
    found = {
        n: xr.DataArray(values[:, :, i], dims=tuple(coords), coords=coords)
        for i, n in enumerate(("variance", "cosine", "gain"))
    }
    return _named({n: _all_three(array) for n, array in found.items()}, {
        "variance": "second moment of the stream after a residual",
        "cosine": "mean cosine between tokens",
        "gain": "share of the input in the stream's size",
    })  # fmt: skip


def recursion(p: Any, run: xr.Dataset) -> xr.Dataset:
    """What random weights of infinite width do to variance, cosine and the input's share."""
    rows = []
    for name in run.norm.values.tolist():
        alpha, beta = _constants(p, name, p.blocks)
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


def one_step(p: Any, bench: Bench) -> xr.Dataset:
    """Change of all outputs by one step of gradient descent and of Adam, over depths.

    Returns:
        change (norm, depth, rule, seed), root mean square over outputs; Adam's first step is lr
        times the gradient's sign.
    """
    rules = {"descent": GradientDescent(p.step), "sign": Adam(p.step)}
    x, y = _recall(bench, 16)
    found = []
    for name in _apart(p):
        for depth in p.depth.values.tolist():
            alpha, beta = _constants(p, name, depth)
            build = partial(
                models.Transformer, 9, VOCABULARY, width=p.step_width, blocks=depth,
                outputs=VOCABULARY, place="pre" if name == "pre" else "post", alpha=alpha,
            )  # fmt: skip
            networks = bench.networks(build, partial(models.transformer_start, beta=beta))
            before = networks.predict(x)
            for rule, solver in rules.items():
                after = bench.train(
                    networks, solver, x, y, steps=1, loss=cross_entropy, record={},
                    label=f"{name}, {depth} blocks, {rule}",
                ).end.predict(x)  # fmt: skip
                size = ((after - before) ** 2).mean(["sample", "feature"]) ** 0.5
                found.append(size.expand_dims(norm=[name], depth=[depth], rule=[rule]))
    change = xr.combine_by_coords([f.rename("change").to_dataset() for f in found], join="outer")
    return _named(
        {"change": _all_three(change.change.sel(norm=list(_apart(p)), rule=list(rules)))},
        {"change": "change of the outputs by one step, root mean square"},
    )


def widths(p: Any, bench: Bench) -> xr.Dataset:
    """Change of the outputs by five Adam steps at one step size, over widths.

    Returns:
        change (form, width, seed). In muP hidden step sizes are lr w0/width, w0 the first width,
        logits of attention divided by d rather than its root, and the read-out starts at zero.
    """
    x, y = _recall(bench, 32)
    first = int(p.width.values.min())
    found = []
    for form in p.form.values.tolist():
        for width in p.width.values.tolist():
            build = partial(
                models.Transformer, 9, VOCABULARY, width=width, blocks=2, outputs=VOCABULARY
            )
            start = partial(
                models.transformer_start, division=1.0 if form == "mup" else 0.5,
                read=0.0 if form == "mup" else 1.0,
            )  # fmt: skip
            networks = bench.networks(build, start)
            solver: Any = Adam(p.coordinate_lr)
            if form == "mup":
                solver = RescaledAdam(
                    p.coordinate_lr, pattern="re*.weight", factor=first / width
                )
            before = networks.predict(x)
            after = bench.train(
                networks, solver, x, y, steps=5, loss=cross_entropy, record={},
                label=f"{form}, width {width}",
            ).end.predict(x)  # fmt: skip
            size = ((after - before) ** 2).mean(["sample", "feature"]) ** 0.5
            found.append(size.expand_dims(form=[form], width=[width]))
    change = xr.combine_by_coords([f.rename("change").to_dataset() for f in found], join="outer")
    return _named(
        {"change": change.change.sel(form=p.form.values)},
        {"change": "change of the outputs by five steps, root mean square"},
    )


def cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean cross entropy against rows that add up to 1."""
    return functional.cross_entropy(prediction, target)


def _apart(p: Any) -> tuple[str, ...]:
    """Return what to measure: without its constants DeepNorm is Post-Norm, bit by bit."""
    return ARRANGEMENTS if p.constants == "deep-norm" else ARRANGEMENTS[:2]


def _all_three(found: xr.DataArray) -> xr.DataArray:
    return found.isel(norm=[0, 1, found.sizes["norm"] - 1]).assign_coords(norm=list(ARRANGEMENTS))


def _constants(p: Any, name: str, blocks: int) -> tuple[float, float]:
    if name == "deep" and p.constants == "deep-norm":
        return residual_streams.deep_norm_constants(blocks)
    return 1.0, 1.0


def _network(
    bench: Bench, build: Callable[[], nn.Module], start: Callable[..., None], seed: int
) -> nn.Module:
    """Return one network, with no memory of others."""
    made = build()
    with torch.no_grad():
        start(made, bench.key(seed, "weights").torch())
    return made


def _tokens(bench: Bench, seed: int, size: int, count: int = SEQUENCES) -> Tensor:
    return torch.randn(count, size, generator=bench.key(seed, "tokens").torch())


def _recall(bench: Bench, count: int) -> tuple[xr.DataArray, xr.DataArray]:
    """Return sequences of associative recall, other ones for every seed."""

    def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
        tokens, answers = data.associative_recall(bench.key(seed, "sequences").numpy(), count)
        x, y = (data.one_hot_tokens(t, VOCABULARY) for t in (tokens, answers[:, None]))
        return x, y

    x, y = zip(*map(draw, bench.seeds), strict=True)
    return samples(np.stack(x), seed=bench.seeds), samples(np.stack(y), seed=bench.seeds)


def _named(variables: dict[str, xr.DataArray], names: dict[str, str]) -> xr.Dataset:
    for name, variable in variables.items():
        variable.attrs = {"long_name": names[name], "units": "1"}
    return xr.Dataset(variables)
