"""How far attention's softmax is saturated, from a choice among all keys to a single one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.layers import NETWORK, Layers, chosen
from chymist.instruments.passing import one_network

_SOFTMAX = {torch.ops.aten._softmax.default, torch.ops.aten._safe_softmax.default}


@dataclass(frozen=True, eq=False)
class Saturation:
    """How the weights p of softmax(logits / temperature) are spread, for every head.

    Means over samples and queries. `participation` is sum_j p_j^2, from 1/T for T equal keys to 1
    for a single one (1 minus the trace of the softmax's Jacobian); `entropy` is in nats,
    `entropy_share` that over its maximum ln T, `largest` the largest weight. `logit_std` is the
    root mean square over queries of the standard deviation of the logits over keys, divided by the
    temperature, and `critical` sqrt(2 ln T), beyond which random logits freeze on few keys. A key
    masked by -inf, or by half of its dtype's lowest number or less, is none; queries with fewer
    than two keys are left out.
    """

    temperatures: tuple[float, ...]
    participation: Float[Tensor, "temperature head"]
    entropy: Float[Tensor, "temperature head"]
    entropy_share: Float[Tensor, "temperature head"]
    largest: Float[Tensor, "temperature head"]
    logit_std: Float[Tensor, "temperature head"]
    critical: Float[Tensor, " head"]


def softmax_saturation(
    logits: Float[Tensor, "sample head query key"],
    temperatures: float | Sequence[float] = 1.0,
) -> Saturation:
    """Participation, entropy and largest weight of softmax(logits / temperature), every head.

    Logits have shape (sample, head, query, key); of fewer dimensions, (query, key) or
    (sample, query, key), they count as of one head. See `Saturation` for the definitions.

    Shapes: (temperature, head), float64. Unit: 1, the entropy nat. Cost: some passes over the
    logits a temperature. Memory: four times the logits in float64. Error: rounding. Source:
    Derrida (1981), Phys. Rev. B 24 (random logits); Ramsauer et al. (2020), arXiv:2008.02217.

    Raises:
        BadParameter: a temperature is not positive.
        CannotMeasure: logits of other shape; NaN or +inf; no query with two keys.

    Weights 3/4 and 1/4:

    >>> found = softmax_saturation(torch.tensor([[3.0, 1.0]]).log())
    >>> found.participation, found.largest
    (tensor([[0.6250]], dtype=torch.float64), tensor([[0.7500]], dtype=torch.float64))
    """
    given = [temperatures] if isinstance(temperatures, int | float) else list(temperatures)
    if not given or not all(t > 0 and t < float("inf") for t in given):
        raise BadParameter(f"temperatures is {temperatures}", "positive finite numbers")
    if not 2 <= logits.ndim <= 4 or not logits.numel():
        raise CannotMeasure(
            f"logits have shape {tuple(logits.shape)}", "give (sample, head, query, key)"
        )
    z = logits.detach().double()
    z = z[None, None] if z.ndim == 2 else z[:, None] if z.ndim == 3 else z
    z = z.movedim(1, 0).flatten(1, 2)
    if bool(z.isnan().any()) or bool(z.isposinf().any()):
        raise CannotMeasure("logits have values that are NaN or +inf", "only -inf masks a key")
    there = z > torch.finfo(logits.dtype).min / 2
    z = z.masked_fill(~there, -torch.inf)
    keys = there.sum(-1)
    counted = keys > 1
    if not bool(counted.any(1).all()):
        raise CannotMeasure("no query has two keys to choose among", "give longer sequences")
    number = counted.sum(1).double()
    log_keys = torch.where(counted, keys.double(), 2.0).log()

    def mean(values: Tensor) -> Tensor:
        return torch.where(counted, values, 0.0).sum(1) / number

    def spread(temperature: float) -> list[Tensor]:
        # Rows without a key would be NaN; they are not counted.
        logs = torch.where(counted[..., None], z / temperature, 0.0).log_softmax(-1)
        p = logs.exp()
        entropy = -torch.where(p > 0, p * logs, 0.0).sum(-1)
        return [
            mean(p.square().sum(-1)), mean(entropy), mean(entropy / log_keys),
            mean(p.amax(-1)), deviation / temperature,
        ]  # fmt: skip

    # A mean of the largest logit taken off keeps squares of large logits exact enough.
    low = torch.where(there, z - z.amax(-1, keepdim=True), 0.0)
    centre = low.sum(-1, keepdim=True) / keys.clamp(min=1)[..., None]
    square = torch.where(there, (low - centre).square(), 0.0).sum(-1) / keys.clamp(min=1)
    deviation = mean(square).sqrt()
    rows = [spread(float(t)) for t in given]
    participation, entropy, share, largest, width = (
        torch.stack(c) for c in zip(*rows, strict=True)
    )
    critical = mean((2 * log_keys).sqrt())
    return Saturation(
        tuple(float(t) for t in given), participation, entropy, share, largest, width, critical
    )


def attention_saturation(
    model: nn.Module,
    x: Any,
    temperatures: float | Sequence[float] = 1.0,
    *,
    layers: Layers = None,
) -> dict[str, Saturation]:
    """How saturated each softmax of attention in a network is, by the module that computes it.

    Every softmax over the last dimension of logits of three dimensions or more is seen, whoever
    calls it: `nn.MultiheadAttention`, `scaled_dot_product_attention`, or a module's own. Of four
    dimensions the second counts as the heads; of three there is one head, but in
    `nn.MultiheadAttention`. A softmax at the output of a token classifier is seen too: name the
    `layers` to keep. A module's second softmax is "name#2". `temperatures` divide the logits
    afterwards: 1 is the network as it is.

    Shapes: a `Saturation` a softmax, (temperature, head), float64. Unit: 1, the entropy nat. Cost:
    three forward passes. Memory: four times the logits of all layers. Error: rounding. Source: see
    `softmax_saturation`.

    Raises:
        BadParameter: a temperature is not positive, or a pattern matches no layer.
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.
        CannotMeasure: no softmax is seen (fused kernels outside PyTorch's own are not); a tensor is
            not finite; dtypes or devices are mixed; there are no samples.

    Without weights, attention does not choose among its three tokens:

    >>> layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    >>> with torch.no_grad():
    ...     _ = layer.self_attn.in_proj_weight.zero_()
    >>> attention_saturation(layer, torch.ones(1, 3, 4))["self_attn"].participation
    tensor([[0.3333, 0.3333]], dtype=torch.float64)
    """
    made = one_network(model, x)
    every, kept = chosen(model), chosen(model, layers)
    stack: list[str] = []
    found: dict[str, Tensor] = {}

    def leave(name: str, tensor: Tensor) -> Tensor:
        while stack and stack.pop() != name:
            pass
        return tensor

    def keep(logits: Tensor) -> None:
        own = stack[-1].partition("#")[0] if stack else NETWORK
        number = 1
        while (label := own if number == 1 else f"{own}#{number}") in found:
            number += 1
        found[label] = _heads(every[own], logits).detach().clone()

    with torch.no_grad(), _Softmaxes(keep):
        made.run(leave, lambda name, _: stack.append(name), listened=every)
    wanted = {n: z for n, z in found.items() if n.partition("#")[0] in kept}
    if not wanted:
        told = ", ".join(found) or "none in this network"
        raise CannotMeasure("no softmax of attention was seen", f"seen: {told}")
    return {n: _saturation(n, z, temperatures) for n, z in wanted.items()}


class _Softmaxes(TorchDispatchMode):
    """Hands the logits of every softmax over keys to `keep`, as long as it lasts."""

    def __init__(self, keep: Callable[[Tensor], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keep = keep

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function in _SOFTMAX:
            logits, dim = args[0], args[1]
            if logits.ndim >= 3 and dim % logits.ndim == logits.ndim - 1:
                self.keep(logits)
        return function(*args, **(kwargs or {}))


def _heads(module: nn.Module, logits: Tensor) -> Tensor:
    if logits.ndim == 3 and isinstance(module, nn.MultiheadAttention):
        return logits.reshape(-1, module.num_heads, *logits.shape[1:])
    return logits.flatten(0, -4) if logits.ndim > 4 else logits


def _saturation(name: str, logits: Tensor, temperatures: float | Sequence[float]) -> Saturation:
    try:
        return softmax_saturation(logits, temperatures)
    except CannotMeasure as error:
        raise CannotMeasure(f"attention in {name}: {error.message}", error.hint) from error
