"""Draw the figures of the instruments' pages: each family's own measurement of small networks.

    python docs/instruments/figures.py [curvature kernels ...]

writes docs/images/instruments-NAME.svg. Everything is drawn from fixed seeds in double precision,
and `tests/docs/test_instrument_figures.py` draws it again and compares.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import altair as alt
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from chymist import instruments
from chymist.rendering import render

IMAGES = Path(__file__).parents[1] / "images"
SAMPLES = 300
LOSS = nn.CrossEntropyLoss()


def digits() -> tuple[Tensor, Tensor]:
    """The first digits, with pixels between 0 and 1."""
    data = load_digits()
    return torch.tensor(data.data[:SAMPLES] / 16), torch.tensor(data.target[:SAMPLES])


def network(hidden: nn.Module, scale: float = 1.0) -> nn.Sequential:
    """A network 64-32-10 in double precision, from a fixed seed, its weights times `scale`."""
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 32), hidden, nn.Linear(32, 10)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return model.eval()


def trained(model: nn.Module, steps: int) -> nn.Module:
    """A copy of the model, trained on the digits by Adam."""
    model, (x, y) = copy.deepcopy(model), digits()
    adam = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(steps):
        adam.zero_grad()
        LOSS(model(x), y).backward()
        adam.step()
    adam.zero_grad()
    return model


def stages() -> dict[str, nn.Module]:
    """One network before and after its training."""
    start = network(nn.Tanh())
    return {"at the start": start, "after 100 updates": trained(start, 100)}


def curves(found: dict[str, Iterable[float]], first: int = 1) -> list[dict[str, Any]]:
    """Rows of a chart: each curve's values by their number."""
    return [
        {"curve": name, "number": number, "value": float(value)}
        for name, values in found.items()
        for number, value in enumerate(values, first)
    ]


def lines(
    rows: list[dict[str, Any]], x: str, y: str, *, x_scale: str = "linear", scale: str = "linear"
) -> alt.Chart:
    """Draw curves, told apart by colour."""
    order = list(dict.fromkeys(row["curve"] for row in rows))
    return alt.Chart(alt.Data(values=rows), width=420, height=220).mark_line().encode(
        x=alt.X("number:Q", title=x, scale=alt.Scale(type=x_scale)),
        y=alt.Y("value:Q", title=y, scale=alt.Scale(type=scale)),
        color=alt.Color("curve:N", title=None, sort=order),
    )  # fmt: skip


def curvature() -> alt.Chart | alt.LayerChart:
    """The density of the Hessian's eigenvalues, and the five largest."""
    model, data = stages()["after 100 updates"], digits()
    found = instruments.spectral_density(model, LOSS, data, steps=40, points=300)
    top = instruments.sharpness(model, LOSS, data, k=5, tolerance=1e-9).values
    rows = [
        {"eigenvalue": float(x), "density": float(y)}
        for x, y in zip(found.grid, found.values, strict=True)
        if y > 1e-4
    ]
    axis = alt.X("eigenvalue:Q", title="eigenvalue of the Hessian")
    density = alt.Chart(alt.Data(values=rows), width=420, height=220).mark_line().encode(
        x=axis, y=alt.Y("density:Q", title="density", scale=alt.Scale(type="log")),
    )  # fmt: skip
    marks = alt.Chart(alt.Data(values=[{"eigenvalue": float(v)} for v in top]))
    return density + marks.mark_rule(strokeDash=[4, 3]).encode(x=axis)


def kernels() -> alt.Chart:
    """The spectrum of the tangent kernel, before and after a training."""
    x, _ = digits()
    found = {
        name: instruments.kernel_spectrum(instruments.ntk(model, x)).values[:200]
        for name, model in stages().items()
    }
    title = "eigenvalue of the tangent kernel"
    return lines(curves(found), "number", title, x_scale="log", scale="log")


def noise() -> alt.Chart:
    """The norms of the samples' gradients, before and after a training."""
    found = {
        name: instruments.gradient_norms(model, LOSS, digits()).sort(descending=True).values
        for name, model in stages().items()
    }
    return lines(curves(found), "sample, by its gradient", "norm of its gradient", scale="log")


def condensation() -> alt.Chart:
    """The angles between hidden neurons that began small, ordered by a shared direction."""
    model = trained(network(nn.Tanh(), scale=0.03), 40)
    cosines = instruments.neurons(model, "0", outgoing="2").cosines
    order = torch.linalg.eigh(cosines).eigenvectors[:, -1]
    order = (order * order[order.abs().argmax()].sign()).argsort()
    rows = [
        {"one": i, "other": j, "cosine": float(cosines[order[i], order[j]])}
        for i in range(len(order))
        for j in range(len(order))
    ]
    return alt.Chart(alt.Data(values=rows), width=260, height=260).mark_rect().encode(
        x=alt.X("one:O", title="neuron", axis=alt.Axis(labels=False, ticks=False)),
        y=alt.Y("other:O", title="neuron", axis=alt.Axis(labels=False, ticks=False)),
        color=alt.Color("cosine:Q", scale=alt.Scale(scheme="redblue", domain=[-1, 1])),
    )  # fmt: skip


def signals() -> alt.Chart:
    """The second moment of the signal through twenty layers, at three sizes of the weights."""
    x, _ = digits()
    found = {}
    for gain in (0.8, 1.0, 1.5):
        with torch.random.fork_rng():
            torch.random.manual_seed(0)
            layers = [nn.Linear(64, 64, bias=False) for _ in range(20)]
            for layer in layers:
                nn.init.normal_(layer.weight, std=gain / 8)
        model = nn.Sequential(*(m for layer in layers for m in (layer, nn.Tanh()))).double()
        measured = instruments.second_moments(model.eval(), x, layers="*")
        by_layer = dict(zip(measured.layers, measured.leaving, strict=True))
        found[f"gain {gain}"] = [by_layer[str(2 * depth + 1)] for depth in range(20)]
    return lines(curves(found), "layer", "second moment of what leaves it", scale="log")


def margins_and_landscape() -> alt.Chart:
    """The margins of the samples, before and after a training."""
    found = {
        name: instruments.margins(model, digits()).sort().values for name, model in stages().items()
    }
    return lines(curves(found), "sample, by its margin", "margin")


FIGURES: dict[str, Callable[[], Any]] = {
    "curvature": curvature,
    "kernels": kernels,
    "noise": noise,
    "condensation": condensation,
    "signals": signals,
    "margins-and-landscape": margins_and_landscape,
}


def drawn(name: str) -> bytes:
    """Return a figure as SVG."""
    return render(FIGURES[name]().to_dict(), "svg")


def path(name: str) -> Path:
    """Where a figure is kept."""
    return IMAGES / f"instruments-{name}.svg"


if __name__ == "__main__":
    for chosen in sys.argv[1:] or FIGURES:
        path(chosen).write_bytes(drawn(chosen))
