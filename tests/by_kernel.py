"""Training by the compiled kernel and by automatic differentiation, to compare."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chymist.native.build import NoKernel, kernel

KERNEL = "compiled kernel"


def need_kernel():
    """Skip the test where no kernel can be built."""
    try:
        kernel(torch.float64)
    except NoKernel as why:
        pytest.skip(str(why))


def both(ensemble, *args, rtol=1e-9, **kwargs):
    """Train by kernel and by autograd; assert that records and ends agree; return the first."""
    runs = [replace(ensemble, engine=e).train(*args, **kwargs) for e in ("native", "stacked")]
    assert runs[0].path.startswith(KERNEL)
    assert not runs[1].path.startswith(KERNEL)
    for name in runs[0].data:
        ours, reference = (run.data[name] for run in runs)
        assert ours.dims == reference.dims
        scale = float(abs(reference).max())
        np.testing.assert_allclose(ours, reference, rtol=rtol, atol=rtol * scale, err_msg=name)
    for name, ours in runs[0].end.parameters.items():
        torch.testing.assert_close(ours, runs[1].end.parameters[name], rtol=rtol, atol=rtol)
    return runs[0]
