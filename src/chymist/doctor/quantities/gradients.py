"""The size of the gradients that a step is made from."""

from __future__ import annotations

from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.preconditioning import step_sizes
from chymist.doctor.quantities.updates import norms_of
from chymist.doctor.quantity import Quantity, Values


def measure(patient: Patient) -> Values:
    """Enter `gradient_norm` by parameter, as the optimizer gets it; that of the whole as "".

    NaN where a trained parameter has no gradient; `untrained` is 1 for parameters that require a
    gradient and that the optimizer does not have.
    """
    own: dict[str, Tensor] = patient.memory["parameters"]
    known = norms(patient)
    if not known:
        return {}
    sizes = {**known, "": sum(s * s for s in known.values()) ** 0.5}
    moved = {} if patient.optimizer is None else step_sizes(patient.optimizer)
    for name, p in own.items():
        if p.requires_grad and name not in known and id(p) in moved:
            sizes[name] = float("nan")
    entered: dict[str, dict[str, float]] = {"gradient_norm": sizes}
    left = {n: 1.0 for n, p in own.items() if p.requires_grad and moved and id(p) not in moved}
    if left:
        entered["untrained"] = left
    return entered


def norms(patient: Patient) -> dict[str, float]:
    """Return the norm of each gradient that there is, computed once a step."""
    step, kept = patient.memory.get("gradient_norms", (None, {}))
    if step == patient.step:
        return dict(kept)
    own: dict[str, Tensor] = patient.memory["parameters"]
    grads = {n: p.grad.detach() for n, p in own.items() if p.grad is not None}
    if not grads:
        return {}
    dense = [g.coalesce().values() if g.is_sparse else g for g in grads.values()]
    made = dict(zip(grads, norms_of(dense), strict=True))
    patient.memory["gradient_norms"] = patient.step, made
    return dict(made)


GRADIENTS = Quantity("gradients", measure, price=0.1, moments=("during",), needs="parameters")
