from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from chymist.bench import samples
from chymist.errors import CannotMeasure
from chymist.instruments import Snapshot, own_error, spectral_error

ANGLE = 2 * np.pi * np.arange(32) / 32


def seen(prediction, targets):
    goal = torch.as_tensor(targets.values)
    return Snapshot(
        step=0, read=dict, predict=lambda x: prediction, place=lambda array: goal,
        x=goal, y=goal, losses=lambda p: p.sum((1, 2)),
    )  # fmt: skip


def test_it_is_the_error_of_the_own_frequency_whatever_leaks():
    targets = samples(np.cos(np.outer([2, 5], ANGLE)), k=[2, 5])
    leak = 7 * np.cos(3 * ANGLE) + 2 * np.sin(5 * ANGLE) + 4
    prediction = torch.as_tensor(np.stack([0.25 * np.cos(2 * ANGLE) + leak, 3 * np.cos(5 * ANGLE)]))
    error = own_error(targets).measure(seen(prediction[..., None], targets))
    torch.testing.assert_close(error, torch.tensor([0.75, 2.0]).double())


def test_without_leakage_it_is_the_spectral_error():
    target = samples(0.01 * np.cos(4 * ANGLE)[None], k=[4])
    prediction = torch.as_tensor(0.004 * np.cos(4 * ANGLE))[None, :, None]
    now = seen(prediction, target)
    expected = spectral_error(target, [4]).measure(now)[:, 0]
    torch.testing.assert_close(own_error(target).measure(now), expected)


def test_a_target_of_zeros_is_refused():
    with pytest.raises(CannotMeasure, match="zero everywhere"):
        own_error(xr.zeros_like(samples(np.cos(ANGLE)[None], k=[1])))
