"""How signals and gradients travel through the layers before training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as tree

from chymist.doctor.patient import Patient
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments import checks
from chymist.instruments.moments import forward_moments
from chymist.instruments.passing import Passing, one_network
from chymist.instruments.similarity import mean_cosine


def measure(patient: Patient) -> Values:
    """Enter second moments of what layers hand on and of gradients, and how samples differ there.

    By module in the order in which they finish: `signal` and `signal_entering` (mean squares),
    `signal_spread` (the share of the mean square that differs between samples), `signal_cosine`
    (mean over pairs of samples), `signal_backward` (mean square of the loss's gradient, times the
    number of samples squared: a sample's own, where the loss is a mean), `signal_backward_norm`
    (its length, root mean square over samples), and `token_cosine`, of tokens within a sample,
    where layers hand on (sample, token, feature).
    """
    made = one_network(patient.model, patient.x, y=patient.y)
    forward = forward_moments(made)
    names = forward.layers
    found: dict[str, dict[str, float]] = {
        "signal": _by(names, forward.leaving[0]),
        "signal_entering": _by(names, forward.entering[0]),
    }
    alike = made.statistics(_alike(made.samples))
    for i, name in enumerate(("signal_spread", "signal_cosine", "token_cosine")):
        values = {n: float(v[0, i]) for n, v in alike.items()}
        found[name] = {n: v for n, v in values.items() if v == v}
    if patient.used:
        found |= _backward(patient, made)
    return found


def _by(names: tuple[str, ...], values: Tensor) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def _alike(samples: int) -> Any:
    def three(tensor: Tensor) -> Tensor | None:
        if tensor.ndim < 2 or len(tensor) != samples or samples < 2:
            return None
        rows = tensor.double().flatten(1)
        spread = (rows - rows.mean(0)).square().mean() / rows.square().mean()
        tokens = tensor.ndim == 3 and tensor.shape[1] > 1
        within = mean_cosine(tensor).nanmean() if tokens else torch.nan * spread
        return torch.stack([spread, mean_cosine(rows), within])

    return three


def _backward(patient: Patient, made: Passing) -> dict[str, dict[str, float]]:
    def losses(out: Any) -> Tensor:
        own = tree.tree_map(lambda t: t[0] if isinstance(t, Tensor) else t, out)
        return checks.one_number(patient.loss(own, patient.y)).reshape(1)

    slopes = {n: s.double() * made.samples for n, s in made.gradients(losses).items()}
    return {
        "signal_backward": {n: float(s.square().mean()) for n, s in slopes.items()},
        "signal_backward_norm": {
            n: float(s.square().sum() / made.samples) ** 0.5 for n, s in slopes.items()
        },
    }


SIGNALS = Quantity("signals", measure, price=6, moments=("before",))
