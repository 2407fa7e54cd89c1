import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from chymist.instruments import psnr


@given(st.floats(1e-8, 1e4), st.floats(0.1, 255))
def test_psnr_equals_its_definition(error, peak):
    ours = psnr(torch.tensor(error, dtype=torch.float64), peak)
    np.testing.assert_allclose(ours, 20 * np.log10(peak / np.sqrt(error)), rtol=1e-9, atol=1e-9)


@given(st.floats(1e-6, 1), st.floats(0.1, 10))
def test_psnr_ignores_the_unit_and_gains_ten_decibels_a_tenfold(error, scale):
    error = torch.tensor(error, dtype=torch.float64)
    torch.testing.assert_close(psnr(scale**2 * error, scale), psnr(error), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(psnr(error / 10) - psnr(error), torch.tensor(10.0).double())


def test_a_perfect_picture_is_infinitely_good():
    assert psnr(torch.tensor(0.0)) == float("inf")
