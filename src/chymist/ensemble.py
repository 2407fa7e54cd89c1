"""Lanes: many networks of one shape, initialised by key and trained as one batched program.

What differs between lanes is data. Any number given to an initialiser, an optimizer or a loss, and
the inputs and targets themselves, may be a named array (`xarray.DataArray`): its named dimensions
become dimensions of the ensemble, joined by name, with `seed` beside them. Two step sizes, three
target functions and eight seeds are 48 lanes.

Model: any `torch.nn.Module` that maps (sample, feature) to (sample, feature) and whose forward has
no randomness and no data-dependent control flow. Parameters and buffers are stacked, and one
backward pass of the summed losses gives every lane its own gradient, since no lane's loss depends
on another lane's parameters. Buffers, and parameters that do not require a gradient, are not
trained.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from chymist.errors import BadParameter
from chymist.group import Look, Part, Task, mean_squared_error
from chymist.instruments import Instrument
from chymist.instruments.calling import by_formula
from chymist.keys import Key
from chymist.lanes import SAMPLE_DIMS, Lanes, lane_dims
from chymist.memory import free as free_memory
from chymist.recording import without_values
from chymist.solvers import Solver
from chymist.stacked import must_go_one_by_one, stacked_forward
from chymist.training import (
    LARGE,
    Engine,
    Progress,
    choose,
    groups,
    require_room,
    split_for_memory,
    train_groups,
)

__all__ = [
    "Ensemble",
    "Lanes",
    "Schedule",
    "Training",
    "every",
    "initialise",
    "lane_dims",
    "log_spaced",
    "mean_squared_error",
]

Schedule = Callable[[int], Iterable[int]]
"""The steps at which to record, given the number of steps."""
Onlooker = Callable[[Sequence[Instrument], Lanes, int], Look | None]
"""Asked, when a training of so many steps begins, for who looks on at what is recorded."""


_MEASURED = 256
"""Samples at most from which the memory of a forward pass is extrapolated."""
_SAVED: WeakKeyDictionary[nn.Module, dict[tuple[int, int], int]] = WeakKeyDictionary()
"""Bytes that a module's forward pass keeps, by samples and features: found once."""


def every(n: int = 1) -> Schedule:
    """Record at steps 0, n, 2n, ... and at the last."""
    return lambda steps: sorted({*range(0, steps + 1, n), steps})


def log_spaced(points: int = 50) -> Schedule:
    """Record at step 0 and at about `points` steps evenly spaced on a logarithmic scale."""
    return lambda steps: sorted(
        {0, *(round(s) for s in np.geomspace(1, steps, points)), steps} if steps else {0}
    )


@dataclass(frozen=True, eq=False)
class Training:
    """What a training leaves: recorded data, the ensemble at its end, and how it was trained."""

    data: xr.Dataset
    end: Ensemble
    path: str


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks of one shape with stacked parameters (lane, ...)."""

    module: nn.Module
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    lanes: Lanes
    key: Callable[[int, str], Key]
    memory: int = 2**30
    engine: Engine = "auto"
    progress: Progress = lambda done, steps: None
    onlooker: Onlooker | None = None

    @by_formula()
    def predict(self, x: Tensor | xr.DataArray) -> xr.DataArray:
        """Return all networks' outputs on inputs x, dims (*lanes, sample, feature)."""
        like = self._like()
        values = self.lanes.place(x) if isinstance(x, xr.DataArray) else x
        placed = torch.as_tensor(values, dtype=like.dtype, device=like.device)
        decides = self._decides_by_data(x)
        held = self._saved_bytes(x)
        forward = stacked_forward(self.module, placed.shape[-1], one_by_one=decides or held > LARGE)
        size = max(2, int(self.memory / max(1.0, held)))
        parts = []
        with torch.no_grad():
            for first in range(0, len(self.lanes), size):
                rows = torch.arange(first, min(first + size, len(self.lanes)), device=like.device)
                # A batch of one takes another matrix-product path, so none.
                pick = rows if len(rows) > 1 else rows.repeat(2)
                out = forward(
                    {n: p[pick] for n, p in self.parameters.items()},
                    {n: b[pick] for n, b in self.buffers.items()},
                    placed[pick] if placed.ndim == 3 else placed,
                )
                parts.append(out[: len(rows)])
        return self.named(torch.cat(parts), SAMPLE_DIMS)

    def measure(
        self,
        instrument: Callable[..., Tensor],
        x: Tensor | xr.DataArray,
        dims: Sequence[str],
    ) -> xr.DataArray:
        """Apply an instrument (module, parameters, buffers, x) -> (lane, *dims), and name it."""
        values = x.values if isinstance(x, xr.DataArray) else x
        like = self._like()
        placed = torch.as_tensor(values, dtype=like.dtype, device=like.device)
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

    @by_formula()
    def train(
        self,
        solver: Solver,
        x: Tensor | xr.DataArray,
        y: Tensor | xr.DataArray,
        *,
        steps: int,
        loss: Callable[..., Tensor] = mean_squared_error,
        batch: int | None = None,
        epochs: bool = True,
        shuffle: bool = True,
        record: Mapping[Instrument, Schedule],
    ) -> Training:
        """Train every lane; return what the instruments recorded and the trained ensemble.

        Step t is the state after t updates; step 0 is the start. `loss` maps one lane's
        (prediction, target) to a number; a `functools.partial` of it may hold named arrays, as may
        the solver. With `batch`, each lane draws its own minibatches by key, without replacement
        within an epoch, and lanes of equal seed draw the same; without `epochs` each step draws
        from all samples, independently of other steps, as theories of noise suppose. Without
        `shuffle` batches are taken in the order of the data, from the first again when they end: so
        a long table of fresh samples is one batch a step, each drawn as it should be. A lane whose
        loss is not finite is frozen from that step on: `diverged_at` says when, its records from
        then on are NaN. Training the end of a training goes on from its parameters; moments start
        anew.

        On the CPU the lanes are shared out to as many threads as `torch.get_num_threads()` says,
        and each lane's numbers do not depend on how many. Dense networks under the rules and the
        losses that it knows are trained by a compiled kernel, where the machine has a C compiler;
        all else by PyTorch's operations, which agree with it to rounding. `engine` asks for one of
        the two ("native", "stacked"); the training's `path` says which it was, and why.

        Raises:
            ValueError: the module draws random numbers or changes a state as it is called;
                x or y is not (sample, feature) beside its lanes, they differ in their
                number of samples, two coordinates disagree, or two instruments have one name, or a
                dimension named as a lane dimension is.
            BadParameter: the batch is larger than the data.
            TooLarge: the networks do not fit into the memory that is free, however they are split.
        """
        keywords = loss.keywords if isinstance(loss, partial) else {}
        numbers = {**solver.numbers(), **keywords}
        arrays = [v for v in (*numbers.values(), x, y) if isinstance(v, xr.DataArray)]
        samples = _samples(x, "x")
        if _samples(y, "y") != samples:
            raise ValueError(f"x has {samples} samples and y has {_samples(y, 'y')}")
        if batch is not None and not 1 <= batch <= samples:
            raise BadParameter(
                f"batch {batch} cannot be drawn from {samples} samples",
                f"allowed: 1 to {samples}, or none for all samples at every step",
            )
        whole = self.spread(self.lanes.joined(arrays))
        _distinct(record, whole.lanes)
        due = {i: frozenset(schedule(steps)) for i, schedule in record.items()}
        task = Task(
            whole.module, whole.parameters, whole.buffers, whole.lanes, whole.key,
            solver, loss, x, y, steps, batch, due, epochs=epochs, shuffle=shuffle,
        )  # fmt: skip
        if self.onlooker is not None:
            task = replace(task, look=self.onlooker(tuple(record), whole.lanes, steps))
        path = choose(task, self.engine)
        # What has a tape does the same whatever its data.
        decides = path.tape is None and whole._decides_by_data(x)
        saved = whole._saved_bytes(x, batch)
        weights = sum(p[:1].numel() * p.element_size() for p in whole.parameters.values())
        state = weights * (3 + solver.moments)
        activations = 2.0 * saved * (batch or samples) / samples
        task = replace(task, one_by_one=decides or activations > 2 * LARGE)
        held = max(activations, saved) + state
        cpu = whole._like().device.type == "cpu"
        # On a machine that has less than the bound, half of it.
        memory = min(self.memory, free_memory() / 2) if cpu else self.memory
        sizes = (activations + state, held, memory, path.tape is not None)
        split = groups(len(whole.lanes), *sizes)
        largest = max(map(len, split))
        if cpu:
            require_room(task, path, held, state)
        workers = min(torch.get_num_threads() if cpu else 1, max(1, int(memory / (held * largest))))
        parts = train_groups(task, path, split, workers, self.progress)
        return _join(whole, parts, record, steps, f"{path}{split_for_memory(split, *sizes)}")

    def _like(self) -> Tensor:
        return next(iter(self.parameters.values()))

    def _decides_by_data(self, x: Tensor | xr.DataArray) -> bool:
        """Whether each network has to be called by itself; says so once, since it is slow."""
        like = self._like()
        pick = torch.zeros(2, dtype=torch.long, device=like.device)
        found = must_go_one_by_one(
            self.module,
            {n: p[pick] for n, p in self.parameters.items()},
            {n: b[pick] for n, b in self.buffers.items()},
            self._first_samples(x, 4),
        )
        if found:
            warnings.warn(
                f"{type(self.module).__name__} decides by its data what it does; its networks are "
                "called one by one, which is slow",
                stacklevel=4,
            )
        return found

    def _first_samples(self, x: Tensor | xr.DataArray, count: int) -> Tensor:
        if isinstance(x, xr.DataArray):
            x = torch.as_tensor(x.isel(dict.fromkeys(lane_dims(x), 0)).values)
        return (x[0] if x.ndim == 3 else x)[:count].to(self._like())

    def _saved_bytes(self, x: Tensor | xr.DataArray, batch: int | None = None) -> float:
        """Return the bytes that one lane's forward pass on x keeps for the backward pass.

        Tried on `batch` samples where a step takes so many.
        """
        samples = x.shape[-2]
        # As much a sample, however many there are.
        x = self._first_samples(x, min(batch or _MEASURED, _MEASURED))
        known = _SAVED.setdefault(self.module, {})
        size = (len(x), x.shape[-1])
        if size not in known:
            known[size] = self._kept_by_a_pass(x)
        return known[size] * samples / len(x)

    def _kept_by_a_pass(self, x: Tensor) -> int:
        first = {n: p[:1].detach().requires_grad_() for n, p in self.parameters.items()}
        own = {p.untyped_storage().data_ptr() for p in first.values()}
        saved: dict[int, int] = {}

        def count(tensor: Tensor) -> Tensor:
            place = tensor.untyped_storage().data_ptr()
            if place not in own:
                saved[place] = tensor.untyped_storage().nbytes()
            return tensor

        with (
            torch.enable_grad(),
            torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor),
        ):
            # The outputs keep what is saved alive, so no two tensors count under one address.
            buffers = {n: b[:1] for n, b in self.buffers.items()}
            forward = stacked_forward(self.module, x.shape[-1], one_by_one=True)
            out = forward(first, buffers, x)
        return sum(saved.values()) + out.numel() * out.element_size()


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

    Raises:
        ValueError: the module has no parameter to train, or two coordinates disagree.
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
    trained = {n for n, p in modules[0].named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError(f"{type(modules[0]).__name__} has no parameter to train")
    states = [{**dict(m.named_parameters()), **dict(m.named_buffers())} for m in modules]
    return Ensemble(
        module=without_values(modules[0]),
        parameters={n: _stack(states, n).to(device) for n in states[0] if n in trained},
        buffers={n: _stack(states, n).to(device) for n in states[0] if n not in trained},
        lanes=lanes,
        key=key,
    )


def _stack(states: Sequence[Mapping[str, Tensor]], name: str) -> Tensor:
    return torch.stack([state[name].detach() for state in states])


def _distinct(record: Iterable[Instrument], lanes: Lanes) -> None:
    names = [instrument.name for instrument in record]
    for instrument in record:
        if names.count(instrument.name) > 1:
            raise ValueError(f"two instruments are called {instrument.name}; give each a name")
        shared = set(instrument.dims) & {*lanes.dims, "step"}
        if shared or instrument.name in {*lanes.dims, "step", "diverged_at"}:
            raise ValueError(
                f"instrument {instrument.name} uses the name of a lane dimension or of the step: "
                f"{', '.join(sorted(shared)) or instrument.name}"
            )


def _samples(data: Tensor | xr.DataArray, name: str) -> int:
    if isinstance(data, xr.DataArray):
        if data.dims[-2:] != SAMPLE_DIMS:
            raise ValueError(f"{name} has dimensions {data.dims}; the last must be {SAMPLE_DIMS}")
    elif data.ndim != 2:
        raise ValueError(
            f"{name} has shape {tuple(data.shape)}; a tensor must be (sample, feature): "
            "give lanes their names in an xarray.DataArray"
        )
    return int(data.shape[-2])


def _join(
    whole: Ensemble,
    parts: Sequence[Part],
    record: Mapping[Instrument, Schedule],
    steps: int,
    path: str,
) -> Training:
    variables: dict[str, xr.DataArray] = {}
    for instrument, schedule in record.items():
        values = torch.cat([part.records[instrument] for part in parts])
        array = whole.named(values, ("step", *instrument.dims))
        # Neurons have numbers, which an instrument cannot know before it has seen a network.
        numbered = {d: range(array.sizes[d]) for d in instrument.dims}
        array = array.assign_coords(
            {**numbered, "step": sorted(schedule(steps)), **instrument.coords}
        )
        array.attrs = {"long_name": instrument.long_name, "units": instrument.units}
        variables[instrument.name] = array
    diverged = whole.named(torch.cat([part.diverged_at for part in parts]))
    diverged.attrs = {"long_name": "step at which the loss was not finite", "units": "step"}
    data = xr.merge([v.rename(n) for n, v in variables.items()], join="outer", compat="equals")
    data["diverged_at"] = diverged
    if "step" in data.coords:
        data["step"].attrs = {"long_name": "updates done", "units": "step"}
    final = {n: torch.cat([part.parameters[n] for part in parts]) for n in whole.parameters}
    return Training(data, replace(whole, parameters=final), path)
