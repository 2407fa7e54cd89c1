"""How far one step of the optimizer moves each parameter, and the gradients that it had."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.preconditioning import step_sizes
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments import update_ratio


def measure(patient: Patient) -> Values:
    """Enter `update_ratio` ||w' - w|| / ||w|| and `weight_norm` by parameter; the network's as "".

    From the parameters before the step and after; where no step is at hand, of the step that the
    optimizer would take from the gradients there are, on copies. `lr` are the step sizes, the
    largest as "".
    """
    own: dict[str, Tensor] = patient.memory["parameters"]
    before: dict[str, Tensor] | None = patient.memory.pop("before", None)
    if before is None:
        if patient.optimizer is None or all(p.grad is None for p in own.values()):
            return {}
        ratios = {n: float(r) for n, r in update_ratio(patient.model, patient.optimizer).items()}
        norms = dict(zip(own, norms_of(own.values()), strict=True))
        moves = [r * norms[n] for n, r in ratios.items() if norms[n] > 0]
        whole = sum(s * s for s in norms.values()) ** 0.5
        if whole > 0:
            ratios[""] = sum(m * m for m in moves) ** 0.5 / whole
    else:
        sizes = norms_of(before.values())
        moves = norms_of(
            torch._foreach_sub([own[n].detach() for n in before], list(before.values()))
        )
        norms = dict(zip(before, sizes, strict=True))
        ratios = {
            n: m / s if s > 0 else (float("inf") if m > 0 else 0.0)
            for n, m, s in zip(before, moves, sizes, strict=True)
        }
        whole = sum(s * s for s in sizes) ** 0.5
        if whole > 0:
            ratios[""] = sum(m * m for m in moves) ** 0.5 / whole
    entered: dict[str, dict[str, float]] = {"update_ratio": ratios, "weight_norm": norms}
    if patient.optimizer is not None:
        rates = step_sizes(patient.optimizer)
        entered["lr"] = {"": max(rates.values(), default=0.0)}
    return entered


def norms_of(several: Iterable[Tensor]) -> list[float]:
    """Return norms, in one transfer from the device."""
    found = torch._foreach_norm([t.detach() for t in several])
    return [float(v) for v in torch.stack([n.float() for n in found]).tolist()] if found else []


UPDATES = Quantity("updates", measure, price=0.2, moments=("across",), needs="parameters")
