import numpy as np
import torch

from chymist import models
from chymist.bench import Bench, samples
from chymist.instruments.lines import line_band_error, line_drawn
from chymist.solvers import Adam

PLACE = np.arange(32) / 32
LINE = np.cos(2 * np.pi * 2 * PLACE) + 0.5 * np.cos(2 * np.pi * 5 * PLACE)


def trained(record, steps=3):
    bench = Bench("tests", "lines", (0, 1))
    networks = bench.networks(
        lambda: models.coordinate_network("none", width=8, m=4, highest=4, axes=1)
    )
    return bench.train(
        networks, Adam(1e-2), samples(PLACE), samples(LINE), steps=steps,
        record=dict.fromkeys(record, lambda steps: [steps]),
    )  # fmt: skip


def test_relative_errors_are_those_of_a_direct_transform():
    run = trained([line_band_error([(1, 4), (4, 8)], 32.0)])
    left = run.end.predict(samples(PLACE)).values[..., 0] - LINE
    for (low, high), coordinate in (((1, 4), 32.0), ((4, 8), 128.0)):
        error, content = (
            np.sqrt((np.abs(np.fft.fft(a)[..., low:high]) ** 2).sum(-1)) for a in (left, LINE)
        )
        measured = run.data.band_error.sel(band=coordinate, step=3)
        np.testing.assert_allclose(measured, error / content, rtol=1e-4)


def test_a_line_drawn_is_what_the_network_says():
    x = torch.linspace(0, 0.9, 7)[:, None]
    run = trained([line_drawn(x)])
    drawn = run.end.predict(x)
    np.testing.assert_allclose(run.data.drawn.isel(step=0), drawn[..., 0], atol=1e-6)
    assert run.data.drawn.sizes["point"] == 7
