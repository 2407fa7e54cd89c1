"""Trainings of causal language models on text, and on associative recall."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pydoc_data.topics import topics

import numpy as np
import torch
from case import LARGE_STEP, Case, Training
from networks import GPT
from optimizers import Maker, adam, adamw, sgd
from torch import Tensor

from chymist.data import associative_recall

CONTEXT = 32


@cache
def characters() -> tuple[Tensor, int]:
    """Return the first 200,000 characters of Python's help as numbers, and how many differ."""
    text = "".join(topics[name] for name in sorted(topics))[:200_000]
    known = {c: n for n, c in enumerate(sorted(set(text)))}
    return torch.tensor([known[c] for c in text]), len(known)


@cache
def recall() -> tuple[Tensor, Tensor]:
    """Return 4,000 sequences k1 v1 ... k4 v4 q of 16 symbols, and the value of q."""
    tokens, answers = associative_recall(np.random.default_rng(0), 4000)
    return torch.tensor(tokens), torch.tensor(answers)


def next_character(out: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of every next character."""
    return torch.nn.functional.cross_entropy(out.flatten(0, 1), y.flatten())


def answer(out: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of the symbol after the last one."""
    return torch.nn.functional.cross_entropy(out[:, -1], y)


def windows(text: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of windows and of the same windows one character on."""
    chance = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    while True:
        begins = torch.randint(len(text) - CONTEXT, (size, 1), generator=chance)
        yield taken(text, begins)


def taken(text: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
    place = begins + torch.arange(CONTEXT)
    return text[place], text[place + 1]


def speak(
    optimizer: Maker,
    net: Callable[..., GPT] = GPT,
    *,
    schedule: Callable[[torch.optim.Optimizer], object] | None = None,
    clip: float | None = 1.0,
) -> Training:
    """Set up a language model of characters."""
    text, count = characters()
    model = net(count, CONTEXT)
    made = optimizer(model.parameters())
    whole = taken(text, torch.arange(0, 16_000, 250)[:, None])
    return Training(
        model, next_character, windows(text, 16), made, whole, clip=clip,
        scheduler=schedule(made) if schedule else None,
    )  # fmt: skip


def remember(optimizer: Maker, net: Callable[..., GPT]) -> Training:
    """Set up associative recall."""
    x, y = recall()
    model = net(16, 9)
    chance = torch.Generator().manual_seed(int(torch.randint(2**31, ())))

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            drawn = torch.randint(len(x), (64,), generator=chance)
            yield x[drawn], y[drawn]

    return Training(model, answer, batches(), optimizer(model.parameters()), (x[:500], y[:500]))


def warmed_up(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min(1.0, (n + 1) / 20))


unit = partial(GPT, embedding_std=1.0)
"""Embeddings of unit variance and the others' as Glorot would have them."""
one_head = partial(unit, width=64, heads=1, fused=False)

CASES = (
    # Healthy.
    Case("gpt", partial(speak, adamw(3e-3), partial(GPT, std=0.02)), level=2.9),
    Case(
        "gpt-tied-weights",
        partial(speak, adamw(3e-3), partial(GPT, std=0.02, tied=True), schedule=warmed_up),
        level=2.9,
    ),
    Case(
        "gpt-zero-head",
        partial(speak, adam(3e-3, betas=(0.9, 0.98)), partial(GPT, zero_head=True)),
        level=2.9,
        held_out=True,
    ),
    Case("gpt-unit-embeddings", partial(speak, adam(3e-3), unit), level=2.9),
    Case("gpt-momentum", partial(speak, sgd(0.1, momentum=0.9), unit), level=2.9, held_out=True),
    Case("recall", partial(remember, adam(2e-3), one_head), level=1.4, steps=180),
    # Faults.
    Case(
        "recall-forgotten-sqrt",
        partial(remember, adam(2e-3), partial(one_head, divided=False)),
        ("frozen-softmax",),
        "recall",
        steps=180,
    ),
    Case(
        "recall-forgotten-sqrt-fused",
        partial(remember, adam(2e-3), partial(one_head, divided=False, fused=True)),
        ("frozen-softmax",),
        "recall",
        steps=180,
        held_out=True,
    ),
    Case(
        "gpt-step-large",
        partial(speak, adamw(0.1), partial(GPT, std=0.02)),
        LARGE_STEP,
        "gpt",
        hurts=1.1,
    ),
    Case(
        "gpt-momentum-step-large",
        partial(speak, sgd(3.0, momentum=0.9), unit, clip=None),
        LARGE_STEP,
        "gpt-momentum",
        held_out=True,
    ),
    Case(
        "gpt-step-small",
        partial(speak, adamw(1e-5), partial(GPT, std=0.02)),
        ("small-step", "slow-descent"),
        "gpt",
    ),
    Case(
        "gpt-tied-to-unit-embeddings",
        partial(speak, adamw(3e-3), partial(GPT, std=0.02, tied=True, embedding_std=1.0)),
        ("loss-at-init",),
        "gpt-tied-weights",
        hurts=1.05,
    ),
    Case(
        "gpt-clipped-to-nothing",
        partial(speak, sgd(0.1, momentum=0.9), unit, clip=1e-3),
        ("clipped", "small-step", "slow-descent"),
        "gpt-momentum",
        held_out=True,
    ),
)
