"""What an optimizer divides its updates by, read from its state, and its threshold of stability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from chymist.theory import stability as stability_theory

STILL = 1e30
"""P of a parameter that the optimizer has not moved: no direction of it counts."""


def step_sizes(optimizer: torch.optim.Optimizer) -> dict[int, float]:
    """Return each parameter's step size, by its id."""
    return {id(p): float(group["lr"]) for group in optimizer.param_groups for p in group["params"]}


def largest_stable(settings: Mapping[str, Any], lr: float) -> float:
    """Return the largest eigenvalue of P^-1 H at which steps of size lr are stable.

    `settings` are a parameter group's, or the facts of an optimizer. The formulas are those of
    `theory.stability`, which refuses a momentum of 1 or more; optimizers take it.

    >>> largest_stable({"momentum": 0.5}, 0.5), largest_stable({"betas": [0.5, 0.9]}, 1.0)
    (6.0, 6.0)
    """
    if "betas" in settings:
        return stability_theory.adam(lr, float(settings["betas"][0]))
    beta = float(settings.get("momentum", 0.0))
    if beta >= 1:
        return (2 + 2 * beta) / (lr * (1 + 2 * beta if settings.get("nesterov") else 1))
    threshold = (
        stability_theory.nesterov if settings.get("nesterov") else stability_theory.heavy_ball
    )
    return threshold(lr, beta)


def stability(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor] | None, float] | None:
    """Return (P, threshold): a step is stable while P^-1 H has no eigenvalue above the threshold.

    For the update w <- w - lr P^-1 m that the optimizer made last. With momentum beta in a sum, as
    PyTorch's SGD and RMSProp keep it, the threshold is (2 + 2 beta)/lr, with Nesterov's momentum
    (2 + 2 beta)/((1 + 2 beta) lr); in an average, as in Adam, (2 + 2 beta1)/((1 - beta1) lr), with
    P = (1 - beta1^t) (sqrt(v / (1 - beta2^t)) + eps). P is None for plain descent of one step size;
    groups of other step sizes are in P, relative to the largest. Averages weighted with dampening
    are not known. None for rules that are not known, and before an adaptive rule's first update.
    Sources: Cohen et al. (2021), arXiv:2103.00065; (2022), arXiv:2207.14484.
    """
    rule, groups = type(optimizer).__name__, optimizer.param_groups
    if rule not in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"):
        return None
    lr = max(float(g["lr"]) for g in groups)
    group = groups[0]
    if lr <= 0 or group.get("dampening") or group.get("maximize") or group.get("lr_decay"):
        return None
    threshold = largest_stable(group, lr)
    sizes = step_sizes(optimizer)
    if rule == "SGD" and all(sizes.get(id(p)) == lr for p in parameters.values()):
        return None, threshold
    settings = {id(p): g for g in groups for p in g["params"]}
    made: dict[str, Tensor] = {}
    for name, p in parameters.items():
        size = sizes.get(id(p), 0.0)
        divisor = _divisor(rule, settings.get(id(p), group), optimizer.state.get(p, {}), p)
        if size <= 0 or divisor is None:
            made[name] = torch.full_like(p, STILL, dtype=torch.float32)
        else:
            made[name] = (divisor * (lr / size)).clamp(1e-30, STILL)
    if all(bool((d == STILL).all()) for d in made.values()):
        return None
    return made, threshold


def _divisor(
    rule: str, group: dict[str, Any], state: Mapping[str, Any], p: Tensor
) -> Tensor | None:
    if rule == "SGD":
        return torch.ones_like(p, dtype=torch.float32)
    if not state:
        return None
    eps = float(group["eps"])
    if rule == "Adagrad":
        return torch.as_tensor(state["sum"].detach().float().sqrt() + eps)
    if rule == "RMSprop":
        square = state["square_avg"].detach().float()
        if group.get("centered"):
            square = (square - state["grad_avg"].detach().float().square()).clamp(min=0)
        return torch.as_tensor(square.sqrt() + eps)
    square = state["max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"].detach().float()
    t = float(state["step"])
    if t < 1:
        return None
    one, two = (float(b) for b in group["betas"])
    return torch.as_tensor((1 - one**t) * ((square / (1 - two**t)).sqrt() + eps))
