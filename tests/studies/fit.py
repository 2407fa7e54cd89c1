"""A study that trains small networks, as often and with such pauses as it is told."""

import time

import numpy as np

from chymist import (
    Axis,
    Claim,
    Control,
    Experiment,
    Field,
    Figure,
    Lane,
    Params,
    Study,
    below,
    figures,
    instruments,
    references,
)
from chymist.bench import samples
from chymist.ensemble import every
from chymist.instruments import Instrument
from chymist.models import MLP
from chymist.solvers import GradientDescent

X = np.linspace(-1, 1, 9)
SIDE = 3


class FitParams(Params):
    lr: Lane[float] = Field((0.05, 0.2), gt=0, description="step size")
    width: Axis[int] = Field((4,), ge=1, le=64, description="neurons")
    steps: int = Field(20, ge=1, le=10**5, description="updates of a training")
    rounds: int = Field(1, ge=1, le=100, description="trainings, one after the other")
    pause: float = Field(0.0, ge=0, le=60, description="seconds after each of them")
    goal: float = Field(1.0, description="height of what is fitted; in the control none comes near")


def _picture():
    """The outputs as a picture."""
    return Instrument(
        "picture", lambda s: s.prediction.reshape(-1, SIDE, SIDE, 1), ("row", "column", "channel")
    )


def train(p, bench):
    networks = bench.networks(lambda: MLP(1, p.width, 1))
    ends = Instrument("ends", lambda s: s.prediction[:, [0, -1], 0], ("side",))
    for number in range(p.rounds):
        run = bench.train(
            networks, GradientDescent(p.lr), samples(X), samples(p.goal * X**2), steps=p.steps,
            record={ends: every(), instruments.loss: every(), _picture(): every()},
            label=f"round {number}",
        ).data  # fmt: skip
        time.sleep(p.pause)
    run = run.drop_vars("picture")
    run["error"] = run.loss.isel(step=-1)
    run.error.attrs = {"long_name": "loss at the end", "units": "1"}
    return run


def error(run):
    """The loss at the end."""
    return abs(run.isel(lr=0).ends).isel(side=0, step=0) * 0 + run.error.isel(lr=0)


def draw(run, control):
    return figures.statistic(run.error.isel(lr=0, width=0), title="loss")


STUDY = Study(
    slug="fit",
    title="A network fits a parabola",
    question="Does it?",
    family="numbers",
    params=FitParams,
    experiments=(
        Experiment(
            "parabola",
            says="Fits it.",
            run=train,
            claims=(Claim("fits", "The loss falls.", error, below(10.0)),),
            figures=(Figure("losses", "One dot a seed.", draw),),
            control=Control("Too high.", {"goal": 1e3}, ("fits",)),
        ),
    ),
    theory="$x^2$.",
    references=references("jacot2018neural"),
    cost={"quick": 5},
)
