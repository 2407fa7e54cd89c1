"""Transformers trained on associative recall, three experiments of `transformer-initialisation`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn import functional

from chymist import data, instruments, models
from chymist.atlas.transformers import transformer_figures as draw
from chymist.bench import Bench, samples
from chymist.claims import Claim, above, below
from chymist.ensemble import every
from chymist.solvers import Adam, RescaledAdam, RescaledDescent
from chymist.study import Control, Experiment, Figure

VOCABULARY = 16
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


def cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean cross entropy against rows that add up to 1."""
    return functional.cross_entropy(prediction, target)


def gap(run):
    """Accuracy with division less that without, each at its best step size, held-out sequences."""
    best = run.accuracy.max("lr")
    return best.sel(start="division", drop=True) - best.sel(start="none", drop=True)


FORGOTTEN = Experiment(
    "without-division", "Transformers learn which value went with a key, with and without "
    "division.", forgotten, claims=(
        Claim("forgotten-division", "Without division accuracy is lower by 0.3 and more, at the "
              "best of the step sizes.", gap, above(0.3)),
    ),
    figures=(Figure("forgotten", "Accuracy on held-out sequences at the best step size; the "
                    "control's heads have width 4.", draw.accuracy),),
    control=Control("With heads of width 4 nothing freezes, and nothing is lost.",
                    {"task_heads": 16, "seeds": 5}, ("forgotten-division",)),
)  # fmt: skip


def best_accuracy(run):
    """Accuracy on held-out sequences at the best of the step sizes."""
    return run.accuracy.max("lr")


REPAIRS = Experiment(
    "other-starts", "T5's start and the tangent kernel's form, on the same task.", repairs,
    claims=(
        Claim("repaired", "Smaller queries at the start (T5), or weights of variance 1 with the "
              "scale outside, train too.", best_accuracy, above(0.8)),
    ),
    figures=(Figure("repairs", "Accuracy at the best step size; the control's answers belong to "
                    "none of the keys asked for.", draw.accuracy),),
    control=Control("Where the answer does not depend on the key nobody learns it.",
                    {"task": "shuffled", "seeds": 5}, ("repaired",)),
)  # fmt: skip


def difference(run):
    """Common logarithm of the largest difference of the two loss curves, at least -17."""
    apart = abs(run.loss.diff("start")).isel(start=0, drop=True).max("step")
    return np.log10(np.maximum(apart, 1e-17))


EQUAL = Experiment(
    "equivalence", "T5's start with the step size of queries divided by sqrt(d) (Adam) or d "
    "(gradient descent) against the division, in double precision.", equal, claims=(
        Claim("same-curve", "The two loss curves are one.", difference, below(-6)),
    ),
    figures=(Figure("equal", "Loss curves; in the control, at one step size.", draw.curves),),
    control=Control("At one step size for all weights they part.", {"matched": False, "seeds": 5},
                    ("same-curve",)),
)  # fmt: skip
