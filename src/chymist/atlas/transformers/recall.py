"""Transformers trained on associative recall, as `transformer-initialisation` asks."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import data, instruments, models
from chymist.atlas.transformers.birth import VOCABULARY, cross_entropy
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.solvers import Adam, RescaledAdam, RescaledDescent

TOKENS = 9
STARTS = {"division": (0.5, 0.0, 0.0), "none": (0.0, 0.0, 0.0), "t5": (0.0, 0.5, 0.0),
          "tangent": (0.5, 0.0, 1.0)}  # fmt: skip
"""Division, query and tangent of `models.transformer_start`."""


def forgotten(p: Any, bench: Bench) -> xr.Dataset:
    """Train with and without the division of logits."""
    return learn(p, bench, ("division", "none"))


def repairs(p: Any, bench: Bench) -> xr.Dataset:
    """Train from T5's start, and in the tangent kernel's form."""
    return learn(p, bench, ("t5", "tangent"))


def learn(p: Any, bench: Bench, starts: tuple[str, ...]) -> xr.Dataset:
    """Train two blocks from several starts; judge them on sequences not seen.

    Adam's step size is lr; in the tangent kernel's form, whose weights are sqrt(width) as large, it
    is lr sqrt(width).

    Returns:
        accuracy (start, lr, seed).
    """
    x, y, _ = _sequences(p, bench, "training", p.sequences)
    seen = _sequences(p, bench, "held out", 512)
    rate = _by_start(starts, [p.task_width ** (STARTS[s][2] / 2) for s in starts])
    networks = _networks(p, bench, starts)
    end = bench.train(
        networks, Adam(p.lr * rate, 0.9, 0.98), x, y, steps=p.steps, batch=64,
        loss=cross_entropy, record={}, label="recall",
    ).end  # fmt: skip
    right = end.predict(seen[0]).argmax("feature") == seen[2]
    accuracy = right.mean("sample").transpose("start", "lr", "seed")
    accuracy.attrs = {"long_name": "share of held-out sequences answered", "units": "1"}
    return xr.Dataset({"accuracy": accuracy.drop_vars("feature", errors="ignore")})


def equal(p: Any, bench: Bench) -> xr.Dataset:
    """Train by division, and from T5's start with the step size of queries made smaller.

    The same draws in double precision; the factor is 1/sqrt(d) unless `matched` is false.

    Returns:
        loss (rule, start, seed, step).
    """
    x, y, _ = _sequences(p, bench, "training", 32)
    head = p.task_width // p.task_heads
    factor = _by_start(("division", "t5"), [1.0, head**-0.5 if p.matched else 1.0])
    networks = _networks(p, bench, ("division", "t5"), dtype=torch.float64)
    options: dict[str, Any] = {"pattern": "*.query.weight", "factor": factor}
    runs = []
    for rule, solver in (
        ("adam", RescaledAdam(1e-3, 0.9, 0.98, **options)),
        ("descent", RescaledDescent(0.1, **options)),
    ):
        run = bench.train(
            networks, solver, x, y, steps=p.equal_steps, loss=cross_entropy,
            record={instruments.loss: every()}, label=rule,
        ).data  # fmt: skip
        runs.append(run[["loss"]].expand_dims(rule=[rule]))
    return xr.concat(runs, "rule", join="exact", combine_attrs="override")


def _networks(p: Any, bench: Bench, starts: tuple[str, ...], **options: Any) -> Any:
    names = ("division", "query", "tangent")
    chosen: dict[str, Any] = {
        name: _by_start(starts, [STARTS[s][i] for s in starts]) for i, name in enumerate(names)
    }
    build = partial(
        models.Transformer, TOKENS, VOCABULARY, width=p.task_width, blocks=2, outputs=VOCABULARY,
        heads=p.task_heads, hidden=1,
    )  # fmt: skip
    return bench.networks(build, partial(models.transformer_start, **chosen), **options)


def _by_start(starts: tuple[str, ...], values: list[float]) -> xr.DataArray:
    return xr.DataArray(values, {"start": list(starts)})


def _sequences(
    p: Any, bench: Bench, purpose: str, count: int
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return one-hot sequences, one-hot answers and answers, the same for all seeds."""
    tokens, answers = data.associative_recall(
        bench.key(0, purpose).numpy(), count, pairs=TOKENS // 2, vocabulary=VOCABULARY,
        shuffled=p.task == "shuffled",
    )  # fmt: skip
    x, y = (data.one_hot_tokens(t, VOCABULARY) for t in (tokens, answers[:, None]))
    return samples(x), samples(y), xr.DataArray(np.asarray(answers), dims="sample")
