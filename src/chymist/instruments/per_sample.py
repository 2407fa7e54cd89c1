"""Gradients of single samples, of one network or of the lanes of a training, in bounded memory.

Sample i's gradient is that of the loss of a batch that holds it alone. Weights of linear layers and
of convolutions are known by their factors, from one forward pass and a backward pass to the layers'
outputs; whatever else there is (norms' gains, attention's joined weights, layers vectorised by
`torch.vmap`) is differentiated sample by sample, in blocks. Which way a parameter goes is found by
watching the forward pass, and held against the gradient of one sample taken alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from chymist.errors import CannotMeasure
from chymist.instruments.calling import called
from chymist.instruments.factors import Use, Watched
from chymist.instruments.objective import Data, Loss, snapshot_objective
from chymist.instruments.one_network import objective, sample_losses
from chymist.instruments.reductions import snapshot_share
from chymist.instruments.sample_parts import Held, Made, Outer, SamplePart
from chymist.instruments.snapshot import Snapshot

Forward = Callable[[Mapping[str, Tensor], Any], Tensor]
"""(stacked parameters, inputs) -> outputs (lane, sample, ...)."""


@dataclass(frozen=True, eq=False)
class PerSample:
    """All samples' gradients of all lanes, in parts; entries are in the order of `parameters`.

    `order` sorts the joined entries of the parts into that order. `slope` are the slopes of the
    samples' losses by their outputs.
    """

    parts: tuple[SamplePart, ...]
    order: Tensor | None
    outputs: Tensor
    losses: Float[Tensor, "lane sample"]
    slope: Float[Tensor, "lane sample ..."]
    structured: tuple[str, ...]

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return self.losses.shape[1]

    @property
    def lanes(self) -> int:
        """How many networks there are."""
        return self.losses.shape[0]

    @property
    def size(self) -> int:
        """How many parameters each network has."""
        return sum(part.size for part in self.parts)

    def squares(self) -> Float[Tensor, "lane sample"]:
        """Return the squared norm of every sample's gradient."""
        return torch.stack([part.squares() for part in self.parts]).sum(0)

    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return squared norms (lane, sample), and the means (lane, parameter) of g and of g^2."""
        norms, totals, squares = zip(*(part.moments() for part in self.parts), strict=True)
        n = self.samples
        return torch.stack(norms).sum(0), self._joined(totals) / n, self._joined(squares) / n

    def mean(self) -> Float[Tensor, "lane parameter"]:
        """Return the mean gradient."""
        return self._joined([part.total() for part in self.parts]) / self.samples

    def along(self, rows: Float[Tensor, "lane parameter"]) -> Float[Tensor, "lane sample"]:
        """Return every sample's gradient times a direction."""
        if self.order is not None:
            rows = torch.empty_like(rows).index_copy(1, self.order, rows)
        pieces = torch.split(rows, [part.size for part in self.parts], dim=1)
        made = [part.along(d) for part, d in zip(self.parts, pieces, strict=True)]
        return torch.stack(made).sum(0)

    def combined(
        self, weights: Float[Tensor, "lane k sample"]
    ) -> Float[Tensor, "lane k parameter"]:
        """Return sums of gradients with weights."""
        return self._joined([part.combined(weights) for part in self.parts])

    def gram(self) -> Float[Tensor, "lane sample sample"]:
        """Return the inner products of all gradients with each other, in double precision."""
        return sum((part.gram().double() for part in self.parts), torch.zeros(()).double())

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        joined = torch.cat(list(parts), dim=-1)
        return joined if self.order is None else joined[..., self.order]


@dataclass(frozen=True, eq=False)
class Sampler:
    """A network and its loss, checked once, whose later batches are taken without checks.

    `names` are the parameters, read from the model anew for every batch; `structured` those whose
    gradients are known by factors, None if that is not known yet; `mean` says that the loss is the
    mean of single samples' losses, so that these need not be formed.
    """

    model: nn.Module
    loss: Loss
    names: tuple[str, ...]
    dtype: torch.dtype | None = None
    structured: tuple[str, ...] | None = None
    mean: bool = False

    def __call__(self, data: Data) -> PerSample:
        """Take the gradients of single samples of a batch (x, y) at the model's parameters."""
        x, y = data if self.dtype is None else tree_map(self._cast, tuple(data))
        x = tuple(x) if isinstance(x, list) else x
        states = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        stacked = {n: self._cast(states[n].detach())[None] for n in self.names}
        rest = {n: self._cast(t.detach()) for n, t in states.items() if n not in stacked}

        def forward(parameters: Mapping[str, Tensor], inputs: Any) -> Tensor:
            with torch._C.DisableTorchFunction():
                # Who watches knows these views by what they are views of.
                own = {n: p[0] for n, p in parameters.items()}
            out = called(self.model, {**{n: t.clone() for n, t in rest.items()}, **own}, inputs)
            return out[None] if isinstance(out, Tensor) else out

        def each(out: Any) -> Tensor:
            if self.mean:
                return self.loss(out[0], y).reshape(1, 1).expand(1, len(y))
            return sample_losses(self.loss, out[0] if isinstance(out, Tensor) else out, y)

        return _per_sample(stacked, forward, x, each, len(y), 0, self.structured)

    def _cast(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.dtype) if self.dtype and tensor.is_floating_point() else tensor


def sampler(model: nn.Module, loss: Loss, data: Data, **options: Any) -> Sampler:
    """Check a model and a loss on a batch, and return what takes the gradients of later ones.

    For use at every step of a training loop: what is checked here, that nothing moves from call to
    call, that samples do not feel each other, and which layers are known by their factors, is taken
    to hold later. `options` go to `objective`.

    Shapes: of what it takes see `PerSample`. Unit: of the loss over the parameters'. Cost: of a
    batch one and a half gradient evaluations, of the check twice that and three forward passes.
    Memory: twice the activations. Error: rounding. Source: Goodfellow (2015), arXiv:1510.01799.

    Raises:
        CannotMeasure: the output is no tensor with a row a sample; see `objective`.

    >>> x, line = torch.tensor([[1.0], [3.0]]), nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(line.weight)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> take = sampler(line, half, (x, torch.ones(2, 1)))
    >>> take((2 * x, torch.ones(2, 1))).squares()  # of gradients -2 and -6
    tensor([[ 4., 36.]])
    """
    made = objective(model, loss, data, **options)
    first = Sampler(model, loss, tuple(made.parameters), options.get("dtype"))
    by_single = first(data)
    known = replace(first, structured=by_single.structured)
    of_batch = replace(known, mean=True)(data)
    same = (of_batch.slope - by_single.slope).norm() <= _close(by_single.slope)
    return replace(known, mean=bool(same))


def samples_of(model: nn.Module, loss: Loss, data: Data, **options: Any) -> PerSample:
    """Take the gradients of single samples of one network; `options` go to `objective`.

    Raises:
        CannotMeasure: the output is no tensor with a row a sample; see `objective`.
    """
    made = objective(model, loss, data, **options)
    return Sampler(model, loss, tuple(made.parameters), options.get("dtype"))(data)


def snapshot_samples(snapshot: Snapshot) -> PerSample:
    """Take the gradients of single samples of every lane of a training.

    Sample i's slope is n times that of a loss that is a mean over samples, and that of a sum.

    Raises:
        CannotMeasure: the training's loss is neither.
    """
    made = snapshot_objective(snapshot)
    samples = snapshot.x.shape[-2]

    def each(out: Tensor) -> Tensor:
        # Only its slopes are read; a lane's loss is shared out evenly among its samples.
        share = snapshot_share(snapshot, out) / samples
        return share * snapshot.losses(out)[:, None].expand(-1, samples)

    return _per_sample(made.parameters, snapshot.forward, snapshot.x, each, samples, -2)


def _per_sample(
    parameters: Mapping[str, Tensor],
    forward: Forward,
    x: Any,
    each: Callable[[Any], Tensor],
    samples: int,
    along: int,
    structured: Sequence[str] | None = None,
) -> PerSample:
    leaves = {n: p.detach().requires_grad_() for n, p in parameters.items()}
    watched = Watched(leaves, samples)
    with torch.enable_grad(), watched:
        out = forward(leaves, x)
    with torch.enable_grad():
        losses = each(out)
        total = losses.sum()
    uses = [use for use in watched.uses if use.outputs.requires_grad]
    wanted = [out, *(use.outputs for use in uses)]
    slope, *slopes = torch.autograd.grad(total, wanted, materialize_grads=True)
    names = _structured(leaves, watched, uses)
    parts = {n: _part(n, uses, slopes, leaves[n]) for n in names}
    if structured is not None:
        parts = {n: part for n, part in parts.items() if n in structured}
    rest = [n for n in parameters if n not in parts]
    every = list(parts.values())
    if rest or structured is None:
        alone = _Alone({n: p.detach() for n, p in parameters.items()}, forward, x, slope, along)
        if structured is None and parts and not _agrees(parts, alone):
            parts, every, rest = {}, [], list(parameters)
        if rest:
            size = sum(parameters[n][0].numel() for n in rest)
            every.append(Made(len(losses), samples, size, lambda a, b: alone.rows(rest, a, b)))
    return PerSample(
        tuple(every),
        _order(parameters, [*parts, *rest]),
        out.detach(),
        losses.detach(),
        slope,
        tuple(parts),
    )


def _structured(leaves: Mapping[str, Tensor], watched: Watched, uses: list[Use]) -> list[str]:
    """Names of the parameters all of whose uses are understood."""
    bad = set(watched.other)
    for use in uses:
        if not use.intact:
            bad |= {n for n in (use.weight, use.bias) if n}
    seen = {n for use in uses for n in (use.weight, use.bias) if n}
    return [n for n in leaves if n in seen and n not in bad]


def _part(name: str, uses: list[Use], slopes: Sequence[Tensor], leaf: Tensor) -> SamplePart:
    lanes, size = len(leaf), leaf[0].numel()
    own = [(u, u.slopes(s)) for u, s in zip(uses, slopes, strict=True) if u.weight == name]
    if own:
        inputs = own[0][0].inputs if len(own) == 1 else torch.cat([u.inputs for u, _ in own], 2)
        given = own[0][1] if len(own) == 1 else torch.cat([s for _, s in own], 2)
        return Outer(lanes, inputs.shape[1], size, inputs, given)
    added = [
        made[:, :, 0] if made.shape[2] == 1 else made.sum(2)
        for u, s in zip(uses, slopes, strict=True)
        if u.bias == name and (made := u.slopes(s)) is not None
    ]
    held = added[0] if len(added) == 1 else torch.stack(added).sum(0)
    return Held(lanes, held.shape[1], size, held)


@dataclass(frozen=True, eq=False)
class _Alone:
    """Samples' gradients from batches of one: slow, and right for any model."""

    parameters: Mapping[str, Tensor]
    forward: Forward
    x: Any
    slope: Tensor
    along: int

    def rows(self, names: Sequence[str], first: int, last: int) -> Tensor:
        """Return some samples' gradients by some parameters (lane, sample, entry)."""
        own = {n: self.parameters[n] for n in names}
        x = tree_map(lambda t: t.movedim(self.along, 0)[first:last], self.x)
        slope = self.slope.movedim(1, 0)[first:last]

        def value(own: Mapping[str, Tensor], x: Any, slope: Tensor) -> Tensor:
            one = tree_map(lambda t: t.unsqueeze(self.along), x)
            out = self.forward({**self.parameters, **own}, one)
            return (out * slope.unsqueeze(1)).sum()

        made = torch.vmap(torch.func.grad(value), in_dims=(None, 0, 0))(own, x, slope)
        return torch.cat([made[n].reshape(*made[n].shape[:2], -1) for n in names], dim=2).movedim(
            0, 1
        )

    def one(self, names: Sequence[str], sample: int) -> Tensor:
        """Return one sample's gradient (lane, entry), by an ordinary backward pass."""
        leaves = {n: p.detach().requires_grad_() for n, p in self.parameters.items()}
        x = tree_map(lambda t: t.narrow(self.along, sample, 1), self.x)
        with torch.enable_grad():
            out = self.forward(leaves, x)
        wanted = [leaves[n] for n in names]
        given = self.slope[:, sample : sample + 1]
        made = torch.autograd.grad(out, wanted, given, materialize_grads=True)
        return torch.cat([m.flatten(1) for m in made], dim=1)


def _agrees(parts: Mapping[str, SamplePart], alone: _Alone) -> bool:
    """Whether the sample of largest gradient has the same gradient alone as in company."""
    norms = torch.stack([part.squares() for part in parts.values()]).sum(0)
    sample = int(norms.nan_to_num().sum(0).argmax())
    found = torch.cat([p.rows(sample, sample + 1)[:, 0] for p in parts.values()], dim=1)
    expected = alone.one(list(parts), sample)
    finite = expected.isfinite().all(1) & found.isfinite().all(1)
    error = (found - expected)[finite].norm()
    return bool(error <= _close(expected[finite]))


def _close(expected: Tensor) -> Tensor:
    """How far apart two computations of the same may be."""
    return torch.as_tensor(math.sqrt(torch.finfo(expected.dtype).eps) * expected.norm())


def _order(parameters: Mapping[str, Tensor], names: Sequence[str]) -> Tensor | None:
    if list(parameters) == list(names):
        return None
    sizes = {n: p[0].numel() for n, p in parameters.items()}
    starts, place = {}, 0
    for name in names:
        starts[name], place = place, place + sizes[name]
    device = next(iter(parameters.values())).device
    return torch.cat([torch.arange(sizes[n], device=device) + starts[n] for n in parameters])


def at_least(samples: int, needed: int, what: str) -> None:
    """Refuse too few samples.

    Raises:
        CannotMeasure: there are fewer samples than needed.
    """
    if samples < needed:
        raise CannotMeasure(f"there are {samples} samples", f"{what} needs at least {needed}")
