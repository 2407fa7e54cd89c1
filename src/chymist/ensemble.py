"""Lanes: many networks of one shape, initialised by key and trained as one batched program.

What differs between lanes is data. Any number given to an initialiser, an optimizer or a loss, and
the inputs and targets themselves, may be a named array (`xarray.DataArray`): its named dimensions
become dimensions of the ensemble, joined by name, with `seed` beside them. Two step sizes, three
target functions and eight seeds are 48 lanes.

Model: any `torch.nn.Module` that maps (sample, feature) to (sample, feature) and whose forward has
no randomness and no data-dependent control flow. Parameters and buffers are stacked, the forward
pass is vectorised with `torch.vmap`, and one backward pass of the summed losses gives every lane
its own gradient, since no lane's loss depends on another lane's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.func import functional_call

from chymist.instruments import Instrument, Snapshot
from chymist.keys import Key
from chymist.solvers import Solver

Schedule = Callable[[int], Iterable[int]]
Progress = Callable[[int, int], None]
SAMPLE_DIMS = ("sample", "feature")


def every(n: int = 1) -> Schedule:
    """Record at steps 0, n, 2n, ... and at the last."""
    return lambda steps: sorted({*range(0, steps + 1, n), steps})


def log_spaced(points: int = 50) -> Schedule:
    """Record at step 0 and at about `points` steps evenly spaced on a logarithmic scale."""
    return lambda steps: sorted(
        {0, *(round(s) for s in np.geomspace(1, steps, points)), steps} if steps else {0}
    )


def mean_squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over samples of half the squared error summed over outputs."""
    return 0.5 * ((prediction - target) ** 2).sum(-1).mean()


@dataclass(frozen=True)
class Lanes:
    """The named dimensions of an ensemble and their coordinates; the last varies fastest."""

    coords: Mapping[str, tuple[Any, ...]]

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        return tuple(self.coords)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of coordinates in each dimension."""
        return tuple(len(c) for c in self.coords.values())

    def __len__(self) -> int:
        return math.prod(self.shape)

    def joined(self, arrays: Iterable[xr.DataArray]) -> Lanes:
        """Add the dimensions that arrays bring; `seed` stays last."""
        coords = dict(self.coords)
        for array in arrays:
            for dim in lane_dims(array):
                if dim not in array.coords:
                    raise ValueError(f"lane dimension {dim} needs a coordinate")
                values = tuple(array[dim].values.tolist())
                if coords.setdefault(dim, values) != values:
                    raise ValueError(f"lane dimension {dim} has two different coordinates")
        ordered = {d: c for d, c in coords.items() if d != "seed"}
        if "seed" in coords:
            ordered["seed"] = coords["seed"]
        return Lanes(ordered)

    def place(self, array: xr.DataArray) -> np.ndarray[Any, Any]:
        """Lay an array out as (lane, *rest); without lane dimensions, as it is."""
        inner = [d for d in array.dims if d not in self.coords]
        if len(inner) == array.ndim:
            return np.asarray(array.values)
        full = array.expand_dims(
            {d: list(c) for d, c in self.coords.items() if d not in array.dims}
        ).transpose(*self.dims, *inner)
        return np.ascontiguousarray(full.values).reshape(len(self), *full.shape[len(self.dims) :])


def lane_dims(array: xr.DataArray) -> tuple[str, ...]:
    """Return the dimensions of an array that make lanes: all but sample and feature."""
    return tuple(str(d) for d in array.dims if d not in SAMPLE_DIMS)


@dataclass(frozen=True, eq=False)
class Training:
    """What a training leaves: the recorded data and the ensemble at its end."""

    data: xr.Dataset
    end: Ensemble


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks of one shape with stacked parameters (lane, ...)."""

    module: nn.Module
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    lanes: Lanes
    key: Callable[[int, str], Key]
    memory: int = 2**30
    progress: Progress = lambda done, steps: None

    def predict(self, x: Tensor | xr.DataArray) -> xr.DataArray:
        """Return all networks' outputs on inputs x, dims (*lanes, sample, feature)."""
        [placed] = _tensors([x], self._like(), self.lanes)
        with torch.no_grad():
            out = _predict(self.module, self.parameters, self.buffers, placed)
        return self.named(out, SAMPLE_DIMS)

    def measure(
        self,
        instrument: Callable[..., Tensor],
        x: Tensor | xr.DataArray,
        dims: Sequence[str],
    ) -> xr.DataArray:
        """Apply an instrument (module, parameters, buffers, x) -> (lane, *dims), and name it."""
        [placed] = _tensors([x], self._like())
        return self.named(instrument(self.module, self.parameters, self.buffers, placed), dims)

    def named(self, values: Tensor, dims: Sequence[str] = ()) -> xr.DataArray:
        """Give a tensor (lane, *dims) its names back."""
        array = values.detach().cpu().numpy().reshape(*self.lanes.shape, *values.shape[1:])
        coords = {d: list(c) for d, c in self.lanes.coords.items()}
        return xr.DataArray(array, dims=(*self.lanes.dims, *dims), coords=coords)

    def spread(self, lanes: Lanes) -> Ensemble:
        """Copy each network to every lane of `lanes` that shares its coordinates."""
        index = xr.DataArray(
            np.arange(len(self.lanes)).reshape(self.lanes.shape),
            dims=self.lanes.dims,
            coords={d: list(c) for d, c in self.lanes.coords.items()},
        )
        rows = torch.as_tensor(np.broadcast_to(lanes.place(index), (len(lanes),)).copy())
        return replace(
            self,
            parameters={n: p[rows.to(p.device)] for n, p in self.parameters.items()},
            buffers={n: b[rows.to(b.device)] for n, b in self.buffers.items()},
            lanes=lanes,
        )

    def train(
        self,
        solver: Solver,
        x: Tensor | xr.DataArray,
        y: Tensor | xr.DataArray,
        *,
        steps: int,
        loss: Callable[..., Tensor] = mean_squared_error,
        batch: int | None = None,
        record: Mapping[Instrument, Schedule],
    ) -> Training:
        """Train every lane; return what the instruments recorded and the trained ensemble.

        Step t is the state after t updates; step 0 is the start. `loss` maps one lane's
        (prediction, target) to a number; a `functools.partial` of it may hold named arrays, as may
        the solver. With `batch`, each lane draws its own minibatches by key, without replacement
        within an epoch, and lanes of equal seed draw the same. A lane whose loss is not finite is
        frozen from that step on: `diverged_at` says when, its records from then on are NaN.

        Raises:
            ValueError: the batch is larger than the data, or two coordinates disagree.
        """
        keywords = loss.keywords if isinstance(loss, partial) else {}
        numbers = {**solver.numbers(), **keywords}
        named = [v for v in (*numbers.values(), x, y) if isinstance(v, xr.DataArray)]
        whole = self.spread(self.lanes.joined(named))
        samples = x.sizes["sample"] if isinstance(x, xr.DataArray) else x.shape[-2]
        if batch is not None and not 1 <= batch <= samples:
            raise ValueError(f"batch {batch} cannot be drawn from {samples} samples")
        parts = []
        groups = _groups(len(whole.lanes), whole._bytes_a_lane(solver, x))
        for number, rows in enumerate(groups):
            loop = _Loop(whole, rows, solver, loss, x, y, steps, batch, record)
            parts.append(loop.run(_scaled(self.progress, number, len(groups), steps)))
        return _join(whole, parts, record, steps)

    def _like(self) -> Tensor:
        return next(iter(self.parameters.values()))

    def _bytes_a_lane(self, solver: Solver, x: Tensor | xr.DataArray) -> float:
        """Estimate what training holds for one lane, from the tensors one forward pass saves."""
        if isinstance(x, xr.DataArray):
            x = _tensors([x.isel({d: 0 for d in lane_dims(x)})], self._like())[0]
        saved = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal saved
            saved += tensor.numel() * tensor.element_size()
            return tensor

        first = {n: p[:1].detach().requires_grad_() for n, p in self.parameters.items()}
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            _predict(self.module, first, {n: b[:1] for n, b in self.buffers.items()}, x)
        weights = sum(p.numel() * p.element_size() for p in first.values())
        return max(1.0, 2.0 * saved + weights * (3 + solver.moments)) / self.memory


def initialise(
    build: Callable[[], nn.Module],
    start: Callable[..., None] | None,
    seeds: Sequence[int],
    key: Callable[[int, str], Key],
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Ensemble:
    """Build one network a lane and stack them.

    `start(module, generator)` sets the parameters in place; a `functools.partial` of it may hold
    named arrays, whose dimensions become lanes; lanes of equal seed draw the same numbers. Without
    `start` the module's own default initialisation is used, drawn from the key as well.
    """
    keywords = start.keywords if isinstance(start, partial) else {}
    arrays = {n: v for n, v in keywords.items() if isinstance(v, xr.DataArray)}
    lanes = Lanes({"seed": tuple(seeds)}).joined(arrays.values())
    placed = {n: np.broadcast_to(lanes.place(a), (len(lanes),)) for n, a in arrays.items()}
    lane_seeds = np.broadcast_to(np.asarray(seeds), lanes.shape).reshape(-1)
    modules = []
    for lane, seed in enumerate(lane_seeds):
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(key(int(seed), "default weights").torch().get_state())
            module = build()
        if start is not None:
            own = {n: values[lane].item() for n, values in placed.items()}
            with torch.no_grad():
                start(module, key(int(seed), "weights").torch(), **own)
        modules.append(module.to(dtype))
    parameters = [dict(m.named_parameters()) for m in modules]
    buffers = [dict(m.named_buffers()) for m in modules]
    return Ensemble(
        module=modules[0].to("meta"),
        parameters={n: _stack(parameters, n).to(device) for n in parameters[0]},
        buffers={n: _stack(buffers, n).to(device) for n in buffers[0]},
        lanes=lanes,
        key=key,
    )


def _stack(states: Sequence[Mapping[str, Tensor]], name: str) -> Tensor:
    return torch.stack([state[name].detach() for state in states])


def _groups(lanes: int, share: float) -> list[Tensor]:
    """Split lanes into groups that fit the memory; a group of one takes another path, so none."""
    size = max(2, min(lanes, int(1 / share)))
    count = max(1, math.ceil(lanes / size))
    return [torch.as_tensor(rows) for rows in np.array_split(np.arange(lanes), count)]


def _scaled(progress: Progress, number: int, groups: int, steps: int) -> Progress:
    return lambda done, total: progress(number * steps + done, groups * steps)


def _predict(
    module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor
) -> Tensor:
    def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Any:
        return functional_call(module, {**parameters, **buffers}, (x,))

    in_dims = (0, 0 if buffers else None, 0 if x.ndim == 3 else None)
    out: Tensor = torch.vmap(one, in_dims=in_dims)(dict(parameters), dict(buffers), x)
    return out


def _tensors(values: Iterable[Any], like: Tensor, lanes: Lanes | None = None) -> list[Tensor]:
    arrays = (
        (lanes.place(v) if lanes else v.values) if isinstance(v, xr.DataArray) else v
        for v in values
    )
    return [torch.as_tensor(a, dtype=like.dtype, device=like.device) for a in arrays]


class _Loop:
    """The training of one group of lanes."""

    def __init__(
        self,
        whole: Ensemble,
        rows: Tensor,
        solver: Solver,
        loss: Callable[..., Tensor],
        x: Tensor | xr.DataArray,
        y: Tensor | xr.DataArray,
        steps: int,
        batch: int | None,
        record: Mapping[Instrument, Schedule],
    ) -> None:
        self.count = len(rows)
        # A batch of one takes another matrix-product path: pad it, so a lane does not feel packing.
        self.rows = rows if len(rows) > 1 else rows.repeat(2)
        self.whole, self.solver, self.steps, self.batch = whole, solver, steps, batch
        like = whole._like()
        pick = self.rows.to(like.device)
        self.parameters = {n: p[pick].clone() for n, p in whole.parameters.items()}
        self.buffers = {n: b[pick] for n, b in whole.buffers.items()}
        self.x, self.y = self.place(x), self.place(y)
        if self.y.ndim == 2 and self.x.ndim == 3:
            self.y = self.y.expand(len(self.rows), *self.y.shape)
        self.function = loss.func if isinstance(loss, partial) else loss
        keywords = loss.keywords if isinstance(loss, partial) else {}
        self.constants = {n: v for n, v in keywords.items() if not isinstance(v, xr.DataArray)}
        self.varying = {n: self.place(v) for n, v in keywords.items() if n not in self.constants}
        self.numbers = {
            n: self._number(v) for n, v in solver.numbers().items() if v is not None
        }
        self.due = {i: set(schedule(steps)) for i, schedule in record.items()}
        self.alive = torch.ones(len(self.rows), dtype=torch.bool, device=like.device)
        self.diverged_at = torch.full((len(self.rows),), math.nan, dtype=torch.float64)
        self.orders = _Batches(whole, self.rows, self.x.shape[-2], batch) if batch else None

    def place(self, value: xr.DataArray | Tensor) -> Tensor:
        """Lay a value out for this group's lanes."""
        like = self.whole._like()
        [tensor] = _tensors([value], like, self.whole.lanes)
        if isinstance(value, xr.DataArray) and any(d in self.whole.lanes.dims for d in value.dims):
            tensor = tensor[self.rows.to(like.device)]
        return tensor

    def _number(self, value: xr.DataArray | float) -> Tensor | float:
        return self.place(value) if isinstance(value, xr.DataArray) else float(value)

    def losses(self, prediction: Tensor, y: Tensor) -> Tensor:
        """One loss a lane."""
        function = partial(self.function, **self.constants)
        names = list(self.varying)

        def one(prediction: Tensor, y: Tensor, *values: Tensor) -> Tensor:
            return function(prediction, y, **dict(zip(names, values, strict=True)))

        in_dims = (0, 0 if y.ndim == 3 else None, *(0 for _ in names))
        out: Tensor = torch.vmap(one, in_dims=in_dims)(prediction, y, *self.varying.values())
        return out

    def run(self, progress: Progress) -> tuple[Any, ...]:
        """Train; return records, the step of divergence and the final parameters."""
        state = self.solver.start(self.parameters)
        records: dict[Instrument, list[Tensor]] = {i: [] for i in self.due}
        tick = max(1, self.steps // 200)
        for step in range(self.steps + 1):
            x, y = self.orders.take(self.x, self.y) if self.orders else (self.x, self.y)
            for parameter in self.parameters.values():
                parameter.requires_grad_()
            prediction = _predict(self.module, self.parameters, self.buffers, x)
            losses = self.losses(prediction, y)
            self._mark(losses.detach(), step)
            self._record(records, step, prediction.detach(), losses.detach())
            if step < self.steps:
                gradients = torch.autograd.grad(losses.sum(), list(self.parameters.values()))
                self._update(state, gradients, step)
            if step % tick == 0 or step == self.steps:
                progress(step, self.steps)
        final = {n: p.detach()[: self.count] for n, p in self.parameters.items()}
        stacked = {i: torch.stack(rows, 1)[: self.count] for i, rows in records.items()}
        return stacked, self.diverged_at[: self.count], final

    @property
    def module(self) -> nn.Module:
        return self.whole.module

    def _mark(self, losses: Tensor, step: int) -> None:
        finite = torch.isfinite(losses)
        if not bool(finite.all()):
            fresh = (self.alive & ~finite).cpu()
            self.diverged_at[fresh] = step
            self.alive &= finite

    def _update(self, state: dict[str, Any], gradients: Sequence[Tensor], step: int) -> None:
        with torch.no_grad():
            before = {n: p.detach() for n, p in self.parameters.items()}
            after = self.solver.update(
                before, dict(zip(before, gradients, strict=True)), state, step, self.numbers
            )
            if not bool(self.alive.all()):
                after = {n: torch.where(_wide(self.alive, p), p, before[n])
                         for n, p in after.items()}
            self.parameters = after

    def _record(
        self, records: dict[Instrument, list[Tensor]], step: int, out: Tensor, losses: Tensor
    ) -> None:
        due = [i for i, steps in self.due.items() if step in steps]
        if not due:
            return
        fixed = {n: p.detach() for n, p in self.parameters.items()}
        snapshot = Snapshot(
            step=step,
            parameters=fixed,
            predict=lambda x: _predict(self.module, fixed, self.buffers, x),
            place=self.place,
            x=self.x,
            y=self.y,
            losses=lambda prediction: self.losses(prediction, self.y),
        )
        if self.orders is None:
            snapshot.__dict__["prediction"], snapshot.__dict__["loss"] = out, losses
        for instrument in due:
            with torch.no_grad():
                value = instrument.measure(snapshot)
            value = value.masked_fill(~_wide(self.alive, value), math.nan)
            records[instrument].append(value.cpu())


class _Batches:
    """Each lane's own order of samples, by its key."""

    def __init__(self, whole: Ensemble, rows: Tensor, samples: int, batch: int) -> None:
        seeds = np.broadcast_to(np.asarray(whole.lanes.coords["seed"]), whole.lanes.shape)
        self.seeds = seeds.reshape(-1)[rows.numpy()].tolist()
        self.generators = {s: whole.key(s, "batches").torch() for s in sorted(set(self.seeds))}
        self.samples, self.batch = samples, batch
        self.used = samples
        self.order = torch.empty(0)

    def take(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next minibatch of every lane; an epoch's incomplete last batch is dropped."""
        if self.used + self.batch > self.samples:
            orders = {s: torch.randperm(self.samples, generator=g)
                      for s, g in self.generators.items()}
            self.order = torch.stack([orders[s] for s in self.seeds]).to(x.device)
            self.used = 0
        picked = self.order[:, self.used : self.used + self.batch]
        self.used += self.batch
        return _gather(x, picked), _gather(y, picked)


def _gather(data: Tensor, picked: Tensor) -> Tensor:
    if data.ndim == 2:
        return data[picked]
    return torch.take_along_dim(data, picked.unsqueeze(-1), dim=1)


def _wide(mask: Tensor, like: Tensor) -> Tensor:
    return mask.reshape(-1, *(1,) * (like.ndim - 1))


def _join(
    whole: Ensemble, parts: Sequence[Any], record: Mapping[Instrument, Schedule], steps: int
) -> Training:
    variables: dict[str, xr.DataArray] = {}
    for instrument, schedule in record.items():
        values = torch.cat([records[instrument] for records, _, _ in parts])
        array = whole.named(values, ("step", *instrument.dims))
        array = array.assign_coords(step=sorted(schedule(steps)), **instrument.coords)
        array.attrs = {"long_name": instrument.long_name, "units": instrument.units}
        variables[instrument.name] = array
    diverged = whole.named(torch.cat([d for _, d, _ in parts]))
    diverged.attrs = {"long_name": "step at which the loss was not finite", "units": "step"}
    data = xr.merge([v.rename(n) for n, v in variables.items()], join="outer", compat="equals")
    data["diverged_at"] = diverged
    if "step" in data.coords:
        data["step"].attrs = {"long_name": "updates done", "units": "step"}
    final = {n: torch.cat([end[n] for _, _, end in parts]) for n in whole.parameters}
    return Training(data, replace(whole, parameters=final))
