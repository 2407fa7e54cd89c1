"""Instruments of frequency, the older ones too, keep the contract of instruments."""

import numpy as np
import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.bench import samples
from chymist.instruments import alone, images, lines
from chymist.testing import check_instrument, small_networks
from chymist.testing.networks import small, two_layers

NUMBERS = [case for case in small_networks() if "squared" in case.name]
"""Networks whose targets are numbers, and their samples a line or a picture of 3 by 3."""
LANES = small("lanes", two_layers).data[1].numpy()
"""The targets that the battery trains on."""
FREQUENCIES = [0.3, 1, 2.5, 4]
WIDTHS = [0.4, 2.0, 9.0]
BANDS = [1, 3]


def residuals(case):
    """Outputs less targets, and targets: probabilities against indicators, of classes."""
    with torch.no_grad():
        out, y = case.model(case.data[0]), case.data[1]
    if not y.is_floating_point():
        out, y = out.softmax(1), nn.functional.one_hot(y, 3).double()
    return (out - y).numpy(), y.numpy()


def places(x, direction):
    along = x @ direction
    return (along - along.min()) / np.ptp(along) * (len(x) - 1) / len(x)


def principal(x):
    return np.linalg.svd(x - x.mean(0))[2][0]


def frequencies_by_hand(direction):
    def referee(case):
        x = case.data[0].numpy()
        u = places(x, principal(x) if direction is None else direction)
        found = []
        for k in FREQUENCIES:
            sizes = []
            for values in residuals(case):
                total = sum(v * np.exp(-2j * np.pi * k * p) for v, p in zip(values, u, strict=True))
                sizes.append(np.sqrt((np.abs(total) ** 2).sum()))
            found.append(sizes[0] / sizes[1])
        return np.array(found)

    return referee


def filter_by_hand(x, width):
    rows = [[np.exp(-((a - b) ** 2).sum() / (2 * width)) for b in x] for a in x]
    return np.array([np.array(row) / sum(row) for row in rows])


def parts_by_hand(case):
    residual, y = residuals(case)
    found = np.empty((2, len(WIDTHS)))
    for i, width in enumerate(WIDTHS):
        low = filter_by_hand(case.data[0].numpy(), width)
        for j, part in enumerate((low, np.eye(len(low)) - low)):
            found[j, i] = np.linalg.norm(part @ residual) / np.linalg.norm(part @ y)
    return found


def degrees_by_hand(case):
    points = np.array([[(-1) ** (i >> j & 1) for j in range(3)] for i in range(8)], dtype=float)
    values = case.model(torch.tensor(points)).detach().numpy()
    energy = np.zeros(4)
    for number in range(8):
        members = [j for j in range(3) if number >> j & 1]
        coefficient = (values * points[:, members].prod(1)[:, None]).mean(0)
        energy[len(members)] += (coefficient**2).sum()
    return energy


def on_the_line(case):
    residual, y = residuals(case)
    left, whole = (np.abs(np.fft.fft(v[:, 0]))[BANDS] for v in (residual, y))
    return left / whole


def in_bands(case):
    left, whole = (np.abs(np.fft.fft(v[:, 0])) ** 2 for v in residuals(case))
    return np.sqrt([left[a:b].sum() / whole[a:b].sum() for a, b in ((0, 2), (2, 5))])


def own(case):
    residual, y = residuals(case)
    return abs((residual * y).sum()) / (y * y).sum()


def in_rings(values):
    power = (np.abs(np.fft.fft2(values.reshape(3, 3, 3), axes=(0, 1))) ** 2).sum(2)
    radius = np.hypot(*np.meshgrid(*[np.fft.fftfreq(3, 1 / 3)] * 2))
    return np.array([power[radius < 1].sum(), power[radius >= 1].sum()])


def rings(case):
    left, whole = map(in_rings, residuals(case))
    return np.sqrt(left / whole)


def of_rings(case):
    return -10 * np.log10(in_rings(residuals(case)[0]) / 3 / 81)


def decibels(case):
    return -10 * np.log10((residuals(case)[0] ** 2).mean())


AT = torch.linspace(-1, 1, 12).double().reshape(4, 3)
GOAL = torch.linspace(0, 1, 12).double().reshape(4, 3)


def made_of(factory):
    """Measure an instrument that is made of the targets."""
    return lambda model, loss, data: alone(factory(samples(data[1].numpy())), model, data, loss)


CONTRACTS = {
    "frequency_error": (
        lambda model, loss, data: instruments.frequency_error(model, data, FREQUENCIES), {
            "documented": instruments.frequency_error, "referee": frequencies_by_hand(None),
            "recorded": instruments.training_frequency_error(FREQUENCIES),
            "read": lambda found: found if isinstance(found, np.ndarray) else found.error,
        }),
    "along a direction": (
        lambda model, loss, data: instruments.frequency_error(
            model, data, FREQUENCIES, direction=[2.0, -1.0, 2.0]).error, {
            "documented": instruments.training_frequency_error,
            "referee": frequencies_by_hand(np.array([2.0, -1.0, 2.0])),
            "recorded": instruments.training_frequency_error(
                FREQUENCIES, direction=[2.0, -1.0, 2.0]),
        }),
    "filter_error": (
        lambda model, loss, data: instruments.filter_error(model, data, WIDTHS), {
            "documented": instruments.filter_error, "referee": parts_by_hand,
            "recorded": instruments.training_filter_error(WIDTHS),
            "read": lambda found: torch.stack([found.low, found.high]),
        }),
    "filter_error, not kept": (instruments.training_filter_error(WIDTHS, kept=0), {
        "documented": instruments.training_filter_error, "referee": parts_by_hand,
    }),
    "degrees": (instruments.training_walsh(3), {
        "documented": instruments.training_walsh, "referee": degrees_by_hand,
    }),
    "spectral_error": (made_of(lambda y: instruments.spectral_error(y, BANDS)), {
        "documented": instruments.spectral_error, "referee": on_the_line, "cases": NUMBERS,
        "recorded": instruments.spectral_error(samples(LANES), BANDS),
    }),
    "own_error": (made_of(instruments.own_error), {
        "documented": instruments.own_error, "referee": own, "cases": NUMBERS,
        "recorded": instruments.own_error(samples(LANES)),
    }),
    "line_band_error": (lines.line_band_error([(0, 2), (2, 5)]), {
        "documented": lines.line_band_error, "referee": in_bands, "cases": NUMBERS,
    }),
    "line_drawn": (lines.line_drawn(AT), {
        "documented": lines.line_drawn,
        "referee": lambda case: case.model(AT).detach()[:, 0],
    }),
    "picture_band_error": (images.picture_band_error([0, 1, 4]), {
        "documented": images.picture_band_error, "referee": rings, "cases": NUMBERS,
    }),
    "picture_band_psnr": (images.picture_band_psnr([0, 1, 4]), {
        "documented": images.picture_band_psnr, "referee": of_rings, "cases": NUMBERS,
    }),
    "reconstruction": (images.reconstruction(AT, ("red", "green", "blue")), {
        "documented": images.reconstruction,
        "referee": lambda case: case.model(AT).detach().reshape(2, 2, 3),
    }),
    "training_psnr": (instruments.training_psnr(), {
        "documented": instruments.training_psnr, "referee": decibels, "cases": NUMBERS,
    }),
    "held_out_psnr": (instruments.held_out_psnr(AT, GOAL), {
        "documented": instruments.held_out_psnr,
        "referee": lambda case: -10 * (case.model(AT) - GOAL).square().mean().log10().detach(),
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_instrument_of_frequency_keeps_the_contract(name):
    measure, options = CONTRACTS[name]
    check_instrument(measure, **{"degree": 0, **options})


@pytest.mark.parametrize("name", ["line_band_error", "degrees"])
def test_a_spoilt_recording_is_named_when_it_is_checked_alone(name):
    recorded, options = CONTRACTS[name]
    spoilt = instruments.Instrument(recorded.name, lambda s: 1.001 * recorded.measure(s))
    with pytest.raises(AssertionError, match="differs from the referee"):
        check_instrument(spoilt, **{"degree": 0, **options})
    neighbours = instruments.Instrument(
        recorded.name, lambda s: recorded.measure(s) * s.prediction.square().sum((1, 2)).argsort()
        .add(1)[:, None], recorded.dims, recorded.coords,
    )  # fmt: skip
    with pytest.raises(AssertionError, match="a lane feels its neighbours"):
        check_instrument(neighbours, **{"degree": 0, **options})
