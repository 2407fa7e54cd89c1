"""One battery of checks for any instrument of a (model, loss, data)."""

from __future__ import annotations

import copy
import doctest
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import CannotMeasure, ChymistError, MovingTarget
from chymist.instruments import Instrument, alone
from chymist.solvers import GradientDescent
from chymist.testing.networks import Small, half_squared_error, small, small_networks, two_layers

WORDS = ("shape", "unit", "cost", "memory", "error", "source")
"""What the docstring of an instrument must speak of, beside its definition and a doctest."""
DRAWS = 60
"""Seeds by which a stochastic instrument is judged."""


@dataclass(frozen=True, eq=False)
class Measured:
    """An instrument under check: how to call it, and how its results are read."""

    measure: Callable[..., Any]
    read: Callable[[Any], Any]

    def __call__(self, case: Small, **options: Any) -> np.ndarray:
        """Measure a case; return numbers in float64."""
        result = self.read(self.measure(case.model, case.loss, case.data, **options))
        array = result.detach().cpu().numpy() if isinstance(result, Tensor) else result
        return np.asarray(array, dtype=float)


def values(result: Any) -> Any:
    """Return a result's numbers: its `values` or its `value`, or the result itself."""
    for name in ("values", "value"):
        if hasattr(result, name) and not callable(getattr(result, name)):
            return getattr(result, name)
    return result


def check_instrument(
    measure: Callable[..., Any] | Instrument,
    *,
    referee: Callable[[Small], Any] | None = None,
    recorded: Instrument | None = None,
    degree: float | None = 1.0,
    tolerance: float = 1e-8,
    stochastic: bool = False,
    read: Callable[[Any], Any] = values,
    documented: Callable[..., Any] | None = None,
    cases: Sequence[Small] | None = None,
    network: Callable[[], nn.Module] = two_layers,
    data: bool = True,
) -> None:
    """Hold an instrument `measure(model, loss, (x, y))` to the contract of instruments.

    Checked, on networks of at most 300 parameters in float64 (dense, residual, tied, attention,
    convolution):

    - its docstring: shapes, unit, cost, memory, error, source, and a doctest that passes;
    - its numbers (`read` off the result) against the `referee`, which is given the network with
      its whole Hessian and gradient, to a relative `tolerance` of the largest;
    - the loss times c multiplies them by c to the power `degree` (None: not so); the order of
      samples and of hidden neurons changes nothing; the same call gives the same;
    - that it changes neither parameters, gradients, buffers, modes nor PyTorch's generator;
    - that a moving target, a NaN in a parameter or in the inputs, and an empty batch are refused in
      one line;
    - if `stochastic`, over seeds (`measure(..., seed=n)`, results with `value` and
      `standard_error`): the mean lies within 4 standard errors of the referee's, and the scatter is
      0.5 to 2 times what the results say. The order of neurons is then left out;
    - if `recorded` measures the same in a training: each lane agrees with `measure`, to a hundred
      times the tolerance, and does not feel the others.

    An `Instrument` in place of `measure`, one that is made for trainings, is measured of each
    network alone (`instruments.alone`) and recorded. `documented` has the docstring, if `measure`
    has none. `cases` are the networks to measure in place of `small_networks()`, where an
    instrument is not of all of them; `network` likewise stands for `two_layers`, which is refused
    its inputs, turned (if it is a chain of three) and trained. Without `data` an instrument reads
    the parameters alone: of what is refused, only the NaN among those is its matter.

    Raises:
        AssertionError: lists every check that failed.
    """
    if isinstance(measure, Instrument):
        recorded, measure = measure, _of_one(measure)
    told = documented or (measure.func if isinstance(measure, partial) else measure)
    name = getattr(told, "__name__", repr(told))
    threads = torch.get_num_threads()
    # Networks this small are measured ten times as fast by one thread as by several.
    torch.set_num_threads(1)
    try:
        failures = [
            *_documented(told),
            *_checked(
                Measured(measure, read),
                referee,
                recorded,
                degree,
                tolerance,
                stochastic,
                small_networks() if cases is None else cases,
                network,
                data,
            ),
        ]
    finally:
        torch.set_num_threads(threads)
    assert not failures, f"{name}:\n" + "\n".join(f"- {f}" for f in failures)  # noqa: S101


def _of_one(recorded: Instrument) -> Callable[..., Any]:
    """Return the measurement of one network that an instrument for trainings makes."""
    return lambda model, loss, data: alone(recorded, model, data, loss)


def _checked(
    measured: Measured,
    referee: Callable[[Small], Any] | None,
    recorded: Instrument | None,
    degree: float | None,
    tolerance: float,
    stochastic: bool,
    cases: Sequence[Small],
    network: Callable[[], nn.Module],
    data: bool,
) -> list[str]:
    failures: list[str] = []
    for case in cases:
        try:
            failures += [f"{case.name}: {text}" for text in _numbers(
                measured, case, referee, degree, tolerance, stochastic
            )]  # fmt: skip
        except ChymistError as error:
            failures.append(f"{case.name}: refused it: {error}")
    failures += [*_refusals(measured, network, data)]
    if stochastic:
        failures += [*_calibrated(measured.measure, referee)]
    elif not failures:
        failures += [*_neurons(measured, tolerance, network)]
    if recorded is not None and not failures:
        failures += [*_lanes(measured, recorded, tolerance, stochastic, network)]
    return failures


def _documented(told: Callable[..., Any]) -> Iterator[str]:
    text = inspect.getdoc(told) or ""
    missing = [word for word in WORDS if word not in text.lower()]
    if missing:
        yield f"the docstring does not state: {', '.join(missing)}"
    space = getattr(inspect.unwrap(told), "__globals__", {})
    finder = doctest.DocTestFinder(recurse=False)
    found = finder.find(told, getattr(told, "__name__", "instrument"), globs=dict(space))
    examples = [e for test in found for e in test.examples]
    if not any(e.want.strip() for e in examples):
        yield "the docstring has no doctest with a known answer"
        return
    runner = doctest.DocTestRunner(verbose=False)
    told_of: list[str] = []
    failed = sum(runner.run(test, out=told_of.append).failed for test in found)
    if failed:
        yield f"{failed} lines of its doctest fail"


def _numbers(
    measured: Measured,
    case: Small,
    referee: Callable[[Small], Any] | None,
    degree: float | None,
    tolerance: float,
    stochastic: bool,
) -> Iterator[str]:
    before = _state(case.model)
    found = measured(case)
    if not np.isfinite(found).all():
        yield f"is not finite: {found}"
        return
    changed = [what for what, kept in _state(case.model).items() if not _same(kept, before[what])]
    if changed:
        yield f"changes the model's or PyTorch's state: {', '.join(changed)}"
    if not np.array_equal(measured(case), found):
        yield "gives another number when called again"
    if referee is not None and not stochastic:
        expected = torch.as_tensor(referee(case), dtype=torch.float64).detach().numpy()
        yield from _differs("differs from the referee", found, expected, tolerance)
    if degree is not None:
        for factor in (0.25, 3.0):
            scaled = replace(case, loss=_scaled(case.loss, factor))
            expected = factor**degree * found
            what = f"does not scale as the loss to the power {degree:g}"
            yield from _differs(what, measured(scaled), expected, tolerance)
    order = torch.arange(len(case.data[0])).flip(0)
    turned = replace(case, data=(case.data[0][order], case.data[1][order]))
    yield from _differs("feels the order of samples", measured(turned), found, tolerance)


def _differs(what: str, found: Any, expected: Any, tolerance: float) -> Iterator[str]:
    if found.shape != expected.shape:
        yield f"{what}: shape {found.shape} rather than {expected.shape}"
        return
    size = max(float(np.abs(expected).max(initial=0.0)), 1e-300)
    error = float(np.abs(found - expected).max(initial=0.0)) / size
    if not error <= tolerance:
        yield f"{what}: relative error {error:.1e}, at most {tolerance:.0e}"


def _scaled(loss: Callable[..., Tensor], factor: float) -> Callable[..., Tensor]:
    return lambda prediction, target: factor * loss(prediction, target)


def _state(model: nn.Module) -> dict[str, Any]:
    return {
        "parameters": {n: p.detach().clone() for n, p in model.named_parameters()},
        "gradients": {n: copy.deepcopy(p.grad) for n, p in model.named_parameters()},
        "buffers": {n: b.clone() for n, b in model.named_buffers()},
        "mode": {n: m.training for n, m in model.named_modules()},
        "requires_grad": {n: p.requires_grad for n, p in model.named_parameters()},
        "random generator": {"state": torch.get_rng_state()},
    }


def _same(now: dict[str, Any], before: dict[str, Any]) -> bool:
    def equal(a: Any, b: Any) -> bool:
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            return torch.equal(a, b)
        return a is None and b is None if a is None or b is None else bool(a == b)

    return now.keys() == before.keys() and all(equal(now[n], before[n]) for n in now)


def _refusals(measured: Measured, network: Callable[[], nn.Module], data: bool) -> Iterator[str]:
    def moving(layer: nn.Module) -> Small:
        case = small("moving", lambda: nn.Sequential(nn.Linear(3, 3), layer, nn.Linear(3, 3)))
        case.model.train()
        return case

    class Noisy(nn.Module):
        """Draws random numbers without a layer that says so."""

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand_like(x)

    whole, spoilt = small("refused", network), small("refused", network)
    x, y = whole.data
    wrong = x.clone()
    wrong[0, 0] = math.nan
    with torch.no_grad():
        next(spoilt.model.parameters()).view(-1)[0] = math.nan
    cases: tuple[tuple[str, Small, type[ChymistError], str], ...] = (
        ("dropout in training mode", moving(nn.Dropout()), MovingTarget, "model.eval()"),
        ("batch norm in training mode", moving(nn.BatchNorm1d(3)), MovingTarget, "model.eval()"),
        ("a model that draws random numbers", moving(Noisy()), MovingTarget, ""),
        ("a NaN in the inputs", replace(whole, data=(wrong, y)), CannotMeasure, "input"),
        ("an empty batch", replace(whole, data=(x[:0], y[:0])), CannotMeasure, "sample"),
        ("a NaN in a parameter", spoilt, CannotMeasure, "parameter"),
    )
    for what, case, kind, word in cases if data else cases[-1:]:
        try:
            measured(case)
        except kind as error:
            line = str(error)
            if "\n" in line or len(line) > 300 or not error.hint or word not in line:
                yield f"{what}: the refusal should be one line with a hint: {line}"
        except Exception as error:
            yield f"{what}: ended in {type(error).__name__} rather than {kind.__name__}: {error}"
        else:
            yield f"{what}: was measured"


def _neurons(
    measured: Measured, tolerance: float, network: Callable[[], nn.Module]
) -> Iterator[str]:
    case = small("neurons", network)
    other = copy.deepcopy(case.model)
    if not isinstance(other, nn.Sequential) or len(other) != 3:
        return
    inner: Any = other[0]
    outer: Any = other[2]
    order = torch.arange(len(inner.weight)).flip(0)
    with torch.no_grad():
        for parameter in inner.parameters():
            parameter.copy_(parameter[order])
        outer.weight.copy_(outer.weight[:, order])
    turned = replace(case, model=other)
    # Sums are taken in another order, and iterations take another way.
    yield from _differs(
        "feels the order of hidden neurons", measured(turned), measured(case), 10 * tolerance
    )


def _calibrated(
    measure: Callable[..., Any], referee: Callable[[Small], Any] | None
) -> Iterator[str]:
    if referee is None:
        yield "a stochastic instrument needs a referee"
        return
    case = small("calibration", two_layers)
    results = [measure(case.model, case.loss, case.data, seed=seed) for seed in range(DRAWS)]
    found = np.array([float(r.value) for r in results])
    stated = np.array([float(r.standard_error) for r in results])
    scatter = found.std(ddof=1)
    if (found == found[0]).all():
        yield "does not depend on the seed, or gives no estimate but the exact value"
        return
    bias = found.mean() - float(torch.as_tensor(referee(case)))
    limit = 4 * scatter / math.sqrt(DRAWS)
    if abs(bias) > limit:
        yield f"is biased by {bias:.2e}, which is more than 4 standard errors, {limit:.1e}"
    ratio = scatter / math.sqrt(float(np.mean(stated**2))) if stated.any() else math.inf
    if not 0.5 < ratio < 2:
        yield f"its scatter is {ratio:.2g} times the standard error that it states"


def _lanes(
    measured: Measured,
    recorded: Instrument,
    tolerance: float,
    stochastic: bool,
    network: Callable[[], nn.Module],
) -> Iterator[str]:
    case = small("lanes", network)

    def train(seeds: tuple[int, ...]) -> Any:
        bench = Bench("testing", "instruments", seeds, dtype=torch.float64)
        return bench.train(
            bench.networks(network),
            GradientDescent(0.1),
            *(samples(d.numpy()) for d in case.data),
            steps=4,
            record={recorded: every(2)},
        )

    several, fewer = train((0, 1, 2, 3)), train((1, 3))
    whole = several.data[recorded.name]
    if not np.isfinite(whole).all():
        yield f"recorded in a training it is not finite: {whole.values}"
        return
    part = fewer.data[recorded.name].values
    loose = 100 * tolerance
    yield from _differs("a lane feels its neighbours", whole.sel(seed=[1, 3]).values, part, 1e-9)
    if stochastic:
        return
    for lane in range(4):
        model = network().double()
        model.load_state_dict({n: p[lane] for n, p in several.end.parameters.items()})
        alone = measured(replace(case, model=model, loss=half_squared_error))
        end = whole.isel(seed=lane, step=-1).values
        what = f"recorded, lane {lane} differs from the network measured alone"
        yield from _differs(what, end, alone, loose)
