import numpy as np
import pytest
import torch

from chymist import models
from chymist.atlas.frequency import frequency_figures as draw
from chymist.atlas.frequency import frequency_principle as study
from chymist.atlas.frequency.line import signal, start
from chymist.bench import Bench
from chymist.errors import BadParameter
from chymist.explorable import course
from chymist.instruments import spectral_peaks


def parameters(**change):
    return study.FrequencyParams.parse({"steps": 256, "layers": "8-6", **change}).cells()[0]


def first_layer(p, variant):
    """Return the standard deviation of the first weights that a variant starts with."""
    _, y, span = signal(p.signal, p.points)
    gain = float(variant.partition("-")[2]) * spectral_peaks(y, len(y) // 4)[-1] / 5
    network = models.MLP(1, 4000, 1)
    with torch.no_grad():
        start(p.start, gain * 2 * np.pi / span)(network, torch.Generator().manual_seed(0))
    return network.layers[0].weight.std().item()


def test_signals_have_the_peaks_they_are_known_for():
    x, y, span = signal("three-sines", 200)
    assert spectral_peaks(y, 50) == [1, 3, 5]
    assert span == pytest.approx(x[-1] - x[0] + x[1] - x[0])
    x, y, span = signal("two-sines", 61)
    assert (x[0], x[-1], len(x), span) == (-10, 10, 61, 20)
    np.testing.assert_allclose(y, np.sin(x) + np.sin(4 * x))
    assert spectral_peaks(y, 15) == [3, 13]


def test_a_gain_means_as_many_cycles_on_any_signal():
    # Standard deviation times span over the highest frequency: cycles of a neuron to the signal's.
    wide = first_layer(parameters(), "sin-8") * 2 * np.pi / 5
    small = first_layer(parameters(signal="two-sines", points=61, start="small"), "sin-8") * 20 / 13
    assert small == pytest.approx(wide, rel=1e-6)
    assert wide == pytest.approx(8 * 2 * np.pi / 5, rel=0.05)


def test_the_small_start_draws_everything_from_one_normal_distribution():
    network = models.MLP(1, 200, 200, 100, 1)
    with torch.no_grad():
        start("small", None)(network, torch.Generator().manual_seed(0))
    for layer in network.layers[:-1]:
        assert layer.weight.std().item() == pytest.approx(0.05, rel=0.2)
        assert layer.bias.std().item() == pytest.approx(0.05, rel=0.2)
    with torch.no_grad():
        start("small", 2.0)(network, torch.Generator().manual_seed(0))
    assert network.layers[0].weight.std().item() == pytest.approx(2, rel=0.2)
    assert network.layers[1].weight.std().item() == pytest.approx(0.05, rel=0.2)


def test_layers_are_as_the_notation_says():
    seen = []
    bench = Bench("tests", "line", (0, 1), progress=lambda *event: None)
    original = models.MLP.__init__

    def watched(self, *sizes, **options):
        seen.append(sizes)
        original(self, *sizes, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.MLP, "__init__", watched)
        run = study.learn_signal(parameters(layers="20-10-5", variant="tanh"), bench)
    assert set(seen) == {(1, 20, 10, 5, 1)}
    assert run.area.sizes == {"variant": 1, "seed": 2, "band": 3}


@pytest.mark.parametrize("layers", ["", "64x64", "64-0", "0", "64-", "99999", "-".join(["8"] * 17)])
def test_layers_that_are_no_list_of_widths_are_refused(layers):
    with pytest.raises(BadParameter, match="allowed: text such as 64-64-64"):
        parameters(layers=layers)


def test_the_last_function_kept_is_the_one_whose_error_is_measured():
    p = parameters(variant=("tanh",), points=64)
    data = study.LINE.run(p, Bench(study.STUDY.slug, "line", (0, 1)))
    assert data.frame.values[-1] == data.step.values[-1] == 256
    end = data.isel(frame=-1, step=-1, variant=0)
    at = [1, 3, 5]
    drawn, goal = (np.fft.rfft(v.values)[:, at] for v in (end.drawn, data.target))
    np.testing.assert_allclose(abs(drawn - goal) / abs(goal), end.error, rtol=2e-3)
    spec = draw.course(data, None).to_dict()
    assert course(spec).steps == tuple(data.frame.values)
