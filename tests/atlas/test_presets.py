"""Every experiment of every large preset at its true shapes, its steps and seeds cut down."""

import numpy as np
import pytest

from chymist import catalogue
from chymist.bench import Bench
from chymist.claims import judge

FEW = {
    "barron-approximation": {"sampled_steps": 40},
    "condensation": {"steps": 200, "size_steps": 10, "dropout_steps": 40},
    "edge-of-stability": {
        "steps": 60, "momentum_steps": 60, "adaptive_steps": 60, "small_steps": 60,
        "product_steps": 200,
    },
    "frequency-principle": {"steps": 64},
    "image-memorisation": {
        "steps": 2, "scale_steps": 1, "flat_steps": 2, "sound_steps": 2, "kernel_steps": 2,
    },
    "ricci-flow": {"steps": 1, "smoothing_steps": 20, "own_steps": 1},
    "ntk-regime": {"steps": 16, "student_steps": 2, "thrown_steps": 2},
    "sgd-escape": {"gd_steps": 16, "restart_steps": 4, "growth_steps": 6, "settle_steps": 4,
                   "diagram_steps": 4},
    "transformer-initialisation": {"steps": 8, "equal_steps": 3},
}  # fmt: skip
CASES = [
    (slug, preset, experiment.name, arm)
    for slug in FEW
    for study in [catalogue.find(slug)]
    for preset in study.presets
    if preset != "quick"
    for experiment in study.experiments
    for arm in ("treatment", "control")
]


def test_only_numbers_of_steps_are_cut_down():
    for slug, few in FEW.items():
        fields = catalogue.find(slug).params.model_fields
        assert set(few) == {name for name in fields if "steps" in name}


@pytest.mark.slow
@pytest.mark.evidence
@pytest.mark.parametrize(("slug", "preset", "name", "arm"), CASES)
def test_a_large_preset_runs_end_to_end(slug, preset, name, arm):
    study = catalogue.find(slug)
    experiment = study.experiment(name)
    change = experiment.control.change if arm == "control" else {}
    whole = study.params.parse({**study.presets[preset], **change})
    p, *_ = whole.model_copy(update=FEW[slug]).cells()
    data = experiment.run(p, Bench(slug, name, (0,)))
    if experiment.prediction:
        theory = experiment.prediction(p, data)
        for variable in theory.data_vars:
            assert np.isfinite(theory[variable]).all()
        renamed = theory.rename({n: f"predicted_{n}" for n in theory.data_vars})
        data = data.merge(renamed, join="exact")
    assert not any(np.isfinite(v).any() for n, v in data.items() if "diverged_at" in str(n))
    for claim in experiment.claims:
        # One seed bears no interval; what is asked is that the statistic can be computed.
        assert judge(claim, data).status == "inconclusive"
    for figure in experiment.figures:
        figure.draw(data, data)
