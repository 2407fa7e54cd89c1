"""Every public instrument is under the battery, or it is said why it is not."""

import dis
import inspect
import itertools
import re
from functools import partial
from pathlib import Path
from types import CodeType

import pytest
from instruments import test_gradient_noise, test_kernel_measures, test_noise_alignment
from instruments import test_signal_contracts as signals
from testing import test_curvature_contracts as curvature
from testing import test_feature_contracts as features
from testing import test_frequency_contracts as frequency
from testing import test_margin_contracts as margins

from chymist import instruments
from chymist.instruments import Instrument
from chymist.testing.instruments import WORDS

TABLES = (
    curvature.CONTRACTS, features.CONTRACTS, frequency.CONTRACTS, margins.CONTRACTS,
    signals.CONTRACTS, test_gradient_noise.CONTRACTS, test_kernel_measures.CONTRACTS,
    test_noise_alignment.CONTRACTS,
)  # fmt: skip
RECORDS = {n for n in instruments.__all__ if inspect.isclass(getattr(instruments, n))}
CURVE, ARRAY, MOMENTS, DRAWN, MATRIX, KEPT = (
    "is of a recorded curve", "is of arrays, not of a network", "compares two moments or networks",
    "draws anew for each lane or call", "is of a matrix, kernel or logits that are given",
    "measures nothing: it keeps what is there",
)  # fmt: skip
WITHOUT = {
    **dict.fromkeys((
        "area_under", "averaged_noise_scale", "decay_rate", "first_crossing", "plateaus",
        "rate_slope", "relative_drift", "time_to", "two_batch_noise_scale",
    ), CURVE),
    **dict.fromkeys((
        "band_error", "choose_widths", "cube", "degree_spectrum", "graph_lowpass", "high_share",
        "low_passed", "neighbour_distance", "nudft", "principal_direction", "psnr", "radial_bands",
        "residual_spectrum", "spectral_peaks", "walsh_degrees", "walsh_transform",
    ), ARRAY),
    **dict.fromkeys((
        "coordinate_check", "kernel_drift", "stacked_update_ratio", "training_kernel_drift",
        "training_update_ratio", "update_ratio",
    ), MOMENTS),
    **dict.fromkeys((
        "categorical", "gaussian", "monte_carlo_fisher", "random_direction", "training_density",
        "training_slice",
    ), DRAWN),
    **dict.fromkeys((
        "effective_rank", "fourier_diagonal", "kernel_nonuniformity", "predicted_residuals",
        "softmax_saturation",
    ), MATRIX),
    **dict.fromkeys(("dst_modes", "segmentation_scores"), ARRAY),
    **dict.fromkeys(("training_outputs", "training_weights"), KEPT),
    "sine_error": "is of the inner points of one line, which no other instrument's data are",
    "relative_distance": "is from a function on points of its own, which no other has",
    "empirical_ntk": "is of stacked parameters, as `ntk` is of one network",
    "stacked_neurons": "is of stacked parameters, as `neurons` are of one network",
}  # fmt: skip
"""Why an instrument cannot be measured of a (model, loss, data); its own tests hold it."""
UNTOLD = {
    "area_under", "categorical", "cube", "dense", "fourier_diagonal", "gaussian",
    "neighbour_distance", "objective", "plateaus", "psnr", "radial_bands", "random_direction",
    "relative_drift", "spectral_peaks", "stacked_neurons", "stacked_update_ratio", "time_to",
}  # fmt: skip
"""Draws, makers of objects, and functions of arrays whose docstrings are short."""


def functions_in(code):
    inner = [functions_in(c) for c in code.co_consts if isinstance(c, CodeType)]
    return [code, *itertools.chain(*inner)]


def own_code(public):
    """An instrument's code, and that of the functions made in it: what a recording one runs."""
    if isinstance(public, Instrument):
        public = public.measure
    return functions_in(inspect.unwrap(public).__code__)


OWNERS = {
    code: name
    for name in instruments.__all__
    if name not in RECORDS
    for code in own_code(getattr(instruments, name))
}


FACTORIES = {
    (public.__module__, named.default): {name}
    for name, public in vars(instruments).items()
    if name.startswith("training_") and inspect.isfunction(public)
    if (named := inspect.signature(public).parameters.get("name"))
}
"""Makers of instruments that share the code which measures, by what they call theirs."""


def named_in(what):
    """The public instruments that a contract calls itself, not those that others call for it.

    What it calls is read off its code: those it takes from `chymist.instruments`, and the functions
    of its own module, closures and partial calls that it goes through.
    """
    if isinstance(what, Instrument):
        return named_in(what.measure) | FACTORIES.get((what.measure.__module__, what.name), set())
    if isinstance(what, partial):
        return named_in(what.func).union(*map(named_in, what.args))
    code = getattr(what, "__code__", None)
    if code in OWNERS:
        return {OWNERS[code]}
    if code is None or what.__module__.startswith("chymist"):
        return set()
    found, given = set(), [c.cell_contents for c in what.__closure__ or ()]
    given += what.__defaults__ or ()
    for inner in functions_in(code):
        before = None
        for step in dis.get_instructions(inner):
            if before == "instruments" and step.argval in instruments.__all__:
                found.add(step.argval)
            before = step.argval if step.opname == "LOAD_GLOBAL" else None
            if before in what.__globals__:
                given.append(what.__globals__[before])
    return found.union(*map(named_in, given))


EXERCISED = set().union(*(
    named_in(part)
    for table in TABLES
    for measure, options in table.values()
    for part in (measure, options.get("recorded"))
))  # fmt: skip


def test_every_instrument_is_under_the_battery_or_it_is_said_why_not():
    public = set(instruments.__all__) - RECORDS
    assert public - EXERCISED - set(WITHOUT) == set()
    assert set(WITHOUT) - public == set(), "no longer public"
    assert set(WITHOUT) & EXERCISED == set(), "under the battery by now"


@pytest.mark.parametrize("name", sorted(WITHOUT))
def test_what_is_not_under_the_battery_has_tests_of_its_own(name):
    """Beside its doctest: a test names it."""
    root = Path(__file__).parents[1]
    others = [p for p in root.rglob("test_*.py") if p != Path(__file__)]
    assert any(re.search(rf"\b{name}\b", p.read_text(encoding="utf-8")) for p in others)


@pytest.mark.parametrize("name", sorted(set(instruments.__all__) - RECORDS - UNTOLD - {"loss"}))
def test_every_docstring_says_what_is_measured_and_at_what_cost(name):
    text = inspect.getdoc(getattr(instruments, name)).lower()
    assert [word for word in WORDS if word not in text] == []
    assert ">>>" in text
