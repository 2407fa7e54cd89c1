"""How far a training has taken the parameters, and the tangent kernel: lazy or rich."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree

from chymist.doctor.patient import Patient
from chymist.doctor.quantities.parts import of_a_part
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments import kernel_drift, ntk, relative_drift

SAMPLES = 12
"""Of the first batch, between which the kernel is taken."""
OUTPUTS = 4
"""Random combinations of the outputs whose kernel is taken, where there are more."""


def measure_parameters(patient: Patient) -> Values:
    """Enter `parameter_drift` ||w - w0|| / ||w0|| by parameter, of the whole as ""."""
    birth = patient.memory.get("birth")
    if birth is None:
        return {}
    own: dict[str, Tensor] = patient.memory["parameters"]
    start = {n: p.detach()[None] for n, p in birth.parameters.items() if n in own}
    now = {n: own[n].detach()[None] for n in start}
    found = {"": float(relative_drift(start, now)[0])}
    for name, one in start.items():
        if bool(one.any()):
            found[name] = float(relative_drift({name: one}, {name: now[name]})[0])
    return {"parameter_drift": found}


def measure_kernel(patient: Patient) -> Values:
    """Enter `kernel_turned`, 1 - cosine between the tangent kernel now and at the start.

    Of the model's first output on samples of the first batch, in at most four combinations drawn
    once.
    """
    birth = patient.memory.get("birth")
    if birth is None or birth.patient is None or patient.given is None:
        return {}
    with birth.patient() as then:
        if then is None or not isinstance(then.x, Tensor) or then.samples < 3:
            return {}
        x = then.x[:SAMPLES]
        kept = patient.memory.get("kernel")
        if kept is None:
            with of_a_part():
                kept = patient.memory["kernel"] = ntk(Projected(then.model), x).detach()
    turned = kernel_drift(kept, ntk(Projected(patient.model), x)).turned
    return {"kernel_turned": {"": float(turned)}}


class Projected(nn.Module):
    """A model's first output, in combinations that are the same at every call."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = False

    def forward(self, *args: Any) -> Tensor:
        """Return (sample, combination)."""
        leaves = tree.tree_leaves(self.model(*args))
        out: Tensor = next(t for t in leaves if isinstance(t, Tensor))
        flat = out.reshape(len(out), -1)
        size = flat.shape[1]
        return flat if size <= OUTPUTS else flat @ _combinations(size).to(flat)


@functools.cache
def _combinations(size: int) -> Tensor:
    drawn = torch.Generator().manual_seed(0)
    return torch.as_tensor(torch.randn(size, OUTPUTS, generator=drawn) / math.sqrt(size))


DRIFT = Quantity(
    "drift", measure_parameters, price=0.3, moments=("during",), needs="parameters"
)  # fmt: skip
KERNEL = Quantity("kernel", measure_kernel, price=15, moments=("during",), needs="inputs")
