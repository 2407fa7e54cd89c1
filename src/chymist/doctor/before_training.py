"""Examining a training before its first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from chymist.doctor import facts
from chymist.doctor.chart import Chart
from chymist.doctor.checkup import Checkup
from chymist.doctor.examination import examine
from chymist.doctor.patient import patient
from chymist.doctor.quantities import QUANTITIES


def preflight(
    model: nn.Module,
    loss: Callable[..., Any],
    batch: Any,
    optimizer: torch.optim.Optimizer | None = None,
) -> Checkup:
    """Examine a model, a loss, a batch and an optimizer before the first step of training.

    `loss(output, target)`, or `loss(output)` for a model that computes its own; `batch` is (inputs,
    targets), for a loss of the output alone the inputs; inputs are a tensor, or a tuple or mapping
    to call the model with. Nothing of the user's is changed: parameters, buffers, gradients, modes
    and generators stay as they are. An instrument that fails is listed in `chart.off`.

    Cost: about a hundred gradient evaluations on the batch, of which 20 are trial steps of the
    optimizer on copies. Memory: that of a gradient's graph, three times a gradient's, and a copy of
    the parameters with the optimizer's state.

    Raises:
        UsageError: the loss or the batch has another form.
        CannotMeasure: the model cannot be copied.
    """
    one = patient(model, loss, batch, optimizer)
    chart = Chart(facts.gather(one))
    examine(one, chart, [q for q in QUANTITIES if "before" in q.moments])
    return Checkup.of(chart)
