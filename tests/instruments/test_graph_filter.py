"""The Gaussian filter on the graph of inputs, and errors of its two parts."""

import importlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from chymist import models
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import (
    choose_widths,
    filter_error,
    graph_lowpass,
    high_share,
    low_passed,
    neighbour_distance,
    training_filter_error,
)
from chymist.solvers import GradientDescent

GRAPH = importlib.import_module("chymist.instruments.graph_filter")
seeds = st.integers(0, 10**6)
widths = st.floats(0.05, 50)


def normal(seed, *shape):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


class Draws(nn.Module):
    """Puts out fixed rows of numbers, whatever comes in."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def forward(self, x):
        return self.rows


def by_loops(x, width):
    rows = np.array([[np.exp(-((a - b) ** 2).sum() / (2 * width)) for b in x] for a in x])
    return rows / rows.sum(1, keepdims=True)


@given(st.integers(1, 12), st.integers(1, 4), seeds, widths)
def test_the_filter_is_the_one_defined(n, d, seed, width):
    x, values = normal(seed, n, d) + 1e5, normal(seed + 1, 2, n, 3)
    expected = by_loops(x.numpy(), width)
    np.testing.assert_allclose(graph_lowpass(x, width), expected, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(
        low_passed(x, values, [width, 3.0])[:, 0], expected @ values.numpy(), rtol=1e-8, atol=1e-10
    )


@given(st.integers(1, 12), seeds, widths, st.floats(-5, 5))
def test_rows_sum_to_one_so_a_constant_is_all_low(n, seed, width, level):
    x = normal(seed, n, 2)
    constant = torch.full((n, 2), level).double()
    assert low_passed(x, constant, [width]).sub(constant).abs().max() < 1e-13 * (1 + abs(level))
    assert (graph_lowpass(x, width) > 0).all()


@settings(max_examples=30)
@given(st.integers(2, 12), st.integers(1, 4), seeds, widths, st.floats(0.1, 10))
def test_it_feels_distances_only(n, d, seed, width, scale):
    x, values = normal(seed, n, d), normal(seed + 1, n, 2)
    first = low_passed(x, values, [width])
    turn = torch.linalg.qr(normal(seed + 2, d, d))[0]
    moved = low_passed(scale * (x @ turn + 3), values, [scale**2 * width])
    torch.testing.assert_close(moved, first, rtol=1e-8, atol=1e-9)
    order = torch.tensor(np.random.default_rng(seed).permutation(n))
    torch.testing.assert_close(low_passed(x[order], values[order], [width])[0], first[0, order])
    torch.testing.assert_close(low_passed(x, 2 * values, [width]), 2 * first)


def test_small_widths_are_the_identity_and_large_ones_the_mean():
    x, values = normal(0, 9, 2), normal(1, 9, 2)
    low = low_passed(x, values, [1e-6, 1e9])
    torch.testing.assert_close(low[0], values, rtol=0, atol=0)
    torch.testing.assert_close(low[1], values.mean(0).expand(9, 2))


def test_two_clusters_far_apart_keep_their_own_means():
    x = torch.cat([torch.zeros(4, 1), torch.full((3, 1), 1e3)]).double()
    values = normal(2, 7, 1)
    low = low_passed(x, values, [1.0])[0]
    torch.testing.assert_close(low[:4], values[:4].mean(0).expand(4, 1))
    torch.testing.assert_close(low[4:], values[4:].mean(0).expand(3, 1))


def test_blocks_of_rows_change_nothing(monkeypatch):
    x, values = normal(3, 41, 3), normal(4, 2, 41, 2)
    whole = low_passed(x, values, [0.5, 2.0]), neighbour_distance(x), graph_lowpass(x, 1.0)
    monkeypatch.setattr(GRAPH, "BLOCK", 200)
    torch.testing.assert_close(low_passed(x, values, [0.5, 2.0]), whole[0])
    assert neighbour_distance(x) == pytest.approx(whole[1])
    torch.testing.assert_close(graph_lowpass(x, 1.0), whole[2])


def test_the_filter_is_never_kept_and_the_memory_is_as_stated(monkeypatch):
    rows = []
    weights = GRAPH._weights
    monkeypatch.setattr(GRAPH, "BLOCK", 2000)
    monkeypatch.setattr(GRAPH, "_weights", lambda d2, w: rows.append(d2.numel()) or weights(d2, w))
    low_passed(normal(5, 100, 2), normal(6, 100, 1), [1.0, 2.0])
    assert rows == [20 * n for n in (100, 80, 60, 40, 20) for _ in range(2)]


@given(st.integers(2, 15), st.integers(1, 3), seeds)
def test_the_neighbour_distance_is_that_of_a_search(n, d, seed):
    x = normal(seed, n, d).numpy()
    squared = ((x[:, None] - x[None]) ** 2).sum(2) + np.diag(np.full(n, np.inf))
    expected = np.sort(squared.min(1))[(n - 1) // 2]
    assert neighbour_distance(torch.tensor(x)) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=20)
@given(st.integers(8, 30), seeds, st.lists(st.floats(0.05, 0.9), min_size=1, max_size=3))
def test_chosen_widths_have_the_shares_that_were_asked_for(n, seed, shares):
    x, y = normal(seed, n, 2), normal(seed + 1, n, 2) + 4
    found = choose_widths(x, y, shares)
    np.testing.assert_allclose(high_share(x, y - y.mean(0), found), shares, atol=2e-3)


def test_the_share_of_a_hard_target_is_larger():
    x = normal(7, 200, 2)
    easy, hard = x[:, :1], torch.sin(40 * x[:, :1])
    scale = [neighbour_distance(x)]
    assert high_share(x, easy, scale) < 0.05 < 0.3 < high_share(x, hard, scale)


def test_equal_inputs_with_different_targets_have_a_high_part_at_every_width():
    x = torch.arange(4.0).repeat(2)[:, None]
    y = torch.tensor([1.0, 2, 3, 4, -1, -2, -3, -4])[:, None]
    assert high_share(x, y, [1e-9]).item() == pytest.approx(1)
    with pytest.raises(CannotMeasure, match=r"the high part has a share of 1 to 1, never 0\.5"):
        choose_widths(x, y, [0.5])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: graph_lowpass(torch.zeros(3, 1), 0.0), "widths is [0.0]"),
        (lambda: graph_lowpass(torch.zeros(3, 1), float("nan")), "widths is [nan]"),
        (lambda: low_passed(torch.zeros(3, 1), torch.zeros(2, 1), [1]), "on 3 samples"),
        (lambda: low_passed(torch.zeros(3), torch.zeros(3, 1), [1]), "inputs of shape (3,)"),
        (lambda: low_passed(torch.zeros(3, 1), torch.zeros(3, 1), []), "widths is []"),
        (lambda: high_share(torch.zeros(3, 1), torch.zeros(3, 1), [1]), "all zero"),
        (lambda: neighbour_distance(torch.zeros(1, 1)), "there is one sample"),
        (lambda: choose_widths(torch.eye(3), torch.ones(3, 1)), "the targets are constant"),
        (lambda: choose_widths(torch.ones(3, 1), torch.eye(3)), "the inputs are all equal"),
        (lambda: choose_widths(torch.eye(3), torch.eye(3), [1.2]), "shares is [1.2]"),
        (lambda: choose_widths(torch.eye(3), torch.ones(3)), "targets of shape (3,)"),
        (lambda: filter_error(nn.Linear(1, 1), (torch.zeros(3, 1), None)), "not a pair"),
        (lambda: training_filter_error([-1.0]), "widths is [-1.0]"),
    ],
)
def test_what_cannot_be_filtered_is_refused_in_one_line(call, says):
    with pytest.raises((BadParameter, CannotMeasure)) as caught:
        call()
    assert says in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_network_that_knows_the_low_part_alone():
    x, y = normal(8, 30, 3), normal(9, 30, 2)
    low = low_passed(x, y, [2.0])[0]
    found = filter_error(Draws(y - (low - low_passed(x, low, [2.0])[0])), (x, y), [2.0])
    # What is left is low less its own low part, whose errors are those of G (1 - G) y.
    both = low - low_passed(x, low, [2.0])[0]
    expected = low_passed(x, both, [2.0])[0]
    torch.testing.assert_close(found.low[0], expected.norm() / low.norm())
    torch.testing.assert_close(found.high[0], (both - expected).norm() / (y - low).norm())
    torch.testing.assert_close(found.share[0], ((y - low).norm() / y.norm()).square())
    nothing = filter_error(Draws(0 * y), (x, y), [0.5, 2.0])
    torch.testing.assert_close(nothing.low, torch.ones(2).double())
    torch.testing.assert_close(nothing.high, torch.ones(2).double())


def test_a_part_that_is_nothing_has_no_relative_error():
    x = normal(10, 6, 1)
    found = filter_error(Draws(normal(11, 6, 1)), (x, torch.ones(6, 1).double()), [1.0])
    assert found.high.isnan().all()
    assert found.low.isfinite().all()
    assert found.share.item() == pytest.approx(0, abs=1e-25)


@pytest.mark.parametrize("kept", [2**28, 0])
def test_lanes_with_their_own_inputs_have_their_own_filters(kept):
    x = np.random.default_rng(0).normal(size=(2, 10, 2))
    y = np.random.default_rng(1).normal(size=(2, 10, 1))
    bench = Bench("tests", "filters", (0, 1), dtype=torch.float64)
    networks = bench.networks(lambda: models.MLP(2, 4, 1), models.gaussian_start)
    run = bench.train(
        networks, GradientDescent(0.0), samples(x, which=["a", "b"]), samples(y, which=["a", "b"]),
        steps=1, record={training_filter_error([0.5, 2.0], kept=kept): every()},
    )  # fmt: skip
    assert run.data.filter_error.dims == ("which", "seed", "step", "part", "filter")
    out = run.end.predict(samples(x, which=["a", "b"])).transpose("which", "seed", "sample", ...)
    for i in range(2):
        for seed in range(2):
            own = torch.tensor(x[i]), torch.tensor(y[i])
            expected = filter_error(Draws(torch.tensor(out.values[i, seed])), own, [0.5, 2.0])
            measured = run.data.filter_error.isel(which=i, seed=seed, step=-1)
            np.testing.assert_allclose(measured.sel(part="low"), expected.low, rtol=1e-8)
            np.testing.assert_allclose(measured.sel(part="high"), expected.high, rtol=1e-8)


def test_the_filters_are_made_once_a_training(monkeypatch):
    module = importlib.import_module("chymist.instruments.filter_error")
    made = []
    real = module.graph_lowpass
    monkeypatch.setattr(module, "graph_lowpass", lambda x, w: made.append(w) or real(x, w))
    x, y = np.random.default_rng(0).normal(size=(2, 10, 2))
    bench = Bench("tests", "filters", (0, 1))
    networks = bench.networks(lambda: models.MLP(2, 4, 2), models.gaussian_start)
    bench.train(
        networks, GradientDescent(0.1), samples(x), samples(y), steps=6,
        record={training_filter_error([0.5, 2.0]): every()},
    )  # fmt: skip
    assert made == [0.5, 2.0]
