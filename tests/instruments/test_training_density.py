"""Spectral density and the empirical Fisher matrix of lanes inside a training."""

import pytest
import torch
import xarray as xr

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter
from chymist.instruments import alone
from chymist.instruments.objective import snapshot_objective
from chymist.solvers import GradientDescent
from chymist.testing import small_networks
from chymist.testing.networks import small, two_layers

CASES = {case.name: case for case in small_networks()}


def trained(*recorded, lr=0.1):
    bench = Bench("testing", "density", (0, 1, 2), dtype=torch.float64)
    case = small("density", two_layers)
    return bench.train(
        bench.networks(two_layers), GradientDescent(lr), *(samples(d.numpy()) for d in case.data),
        steps=2, record={i: every(2) for i in recorded},
    ), case  # fmt: skip


def network(trained, lane):
    model = two_layers().double()
    model.load_state_dict({n: p[lane] for n, p in trained.end.parameters.items()})
    return model


def test_the_fishers_eigenvalues_are_those_of_each_lane_alone():
    inner = instruments.training_sharpness(2, matrix="empirical-fisher", tolerance=1e-8)
    found, case = trained(inner)
    values = torch.tensor(found.data[inner.name].isel(step=-1).values)
    for lane in range(3):
        made = instruments.objective(network(found, lane), case.loss, case.data)
        whole = instruments.dense(instruments.empirical_fisher(made))[0]
        torch.testing.assert_close(
            values[lane], torch.linalg.eigvalsh(whole).flip(0)[:2], rtol=1e-5, atol=0
        )


@pytest.mark.parametrize("name", CASES)
def test_single_samples_losses_in_a_training_are_those_of_one_network(name):
    case = CASES[name]

    def fisher(snapshot):
        made = instruments.dense(instruments.empirical_fisher(snapshot_objective(snapshot)))
        return made

    found = alone(
        instruments.Instrument("fisher", fisher), case.model, case.data, case.loss
    )  # fmt: skip
    made = instruments.objective(case.model, case.loss, case.data)
    torch.testing.assert_close(found, instruments.dense(instruments.empirical_fisher(made))[0])


@pytest.mark.parametrize("shared", [True, False])
def test_single_losses_have_the_batchs_as_their_mean_with_targets_of_each_lanes_own(shared):
    apart = []

    def each(snapshot):
        losses = snapshot_objective(snapshot).pieces[0].each(snapshot.prediction)
        apart.append(float((losses.mean(1) - snapshot.loss).abs().max()))
        return losses.std(1)

    bench = Bench("testing", "density", (0, 1, 2), dtype=torch.float64)
    case = small("density", two_layers)
    x, y = (samples(d.numpy()) for d in case.data)
    lanes = xr.DataArray([1.0, 2.0, 3.0], dims="seed", coords={"seed": [0, 1, 2]})
    bench.train(
        bench.networks(two_layers), GradientDescent(0.1), x, y if shared else lanes * y, steps=1,
        record={instruments.Instrument("each", each): every(1)},
    )  # fmt: skip
    assert len(apart) == 2 and max(apart) < 1e-12


@pytest.mark.parametrize("matrix", ["hessian", "empirical-fisher"])
def test_a_density_has_the_mass_and_the_mean_of_the_spectrum(matrix):
    # With as many steps as parameters the quadrature is exact for its probes.
    density, grid = instruments.training_density(
        matrix=matrix, probes=40, steps=45, points=4000, width=1e-3
    )
    found, case = trained(density, grid)
    values, places = (
        torch.tensor(found.data[i.name].isel(step=-1).values) for i in (density, grid)
    )
    torch.testing.assert_close(
        torch.trapezoid(values, places), torch.ones(3).double(), rtol=1e-2, atol=0
    )
    make = {"hessian": instruments.hessian, "empirical-fisher": instruments.empirical_fisher}
    for lane in range(3):
        made = instruments.objective(network(found, lane), case.loss, case.data)
        whole = instruments.dense(make[matrix](made))[0]
        mean = torch.trapezoid(values[lane] * places[lane], places[lane])
        # Of random signs the mean scatters by the entries off the diagonal.
        off = whole - whole.diagonal().diag()
        scatter = float((2 * off.square().sum() / 40).sqrt()) / len(whole)
        assert abs(float(mean - whole.trace() / len(whole))) < 4 * scatter + 1e-3


def test_a_lane_that_is_lost_is_missing():
    density, grid = instruments.training_density(probes=2, steps=5, points=9)
    found, _ = trained(density, grid, lr=1e200)
    assert not torch.tensor(found.data[density.name].isel(step=-1).values).isfinite().any()
    assert torch.tensor(found.data[density.name].isel(step=0).values).isfinite().all()


@pytest.mark.parametrize("wrong", [{"probes": 1}, {"steps": 0}, {"points": 1}, {"width": 0.0}])
def test_what_is_out_of_range_is_refused_before_the_training(wrong):
    with pytest.raises(BadParameter):
        instruments.training_density(**wrong)
