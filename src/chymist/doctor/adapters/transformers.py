"""A callback that watches a training by the Hugging Face Trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from chymist.doctor.chart import Chart
from chymist.doctor.checkup import Checkup
from chymist.doctor.during_training import Watch, watch
from chymist.errors import UsageError

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise UsageError(
        "transformers is not installed", "pip install 'chymist[transformers]'"
    ) from error


class ChymistCallback(TrainerCallback):
    """Watches `trainer.train`: `Trainer(..., callbacks=[callback])`.

    The model's output must hold its loss, as it does where the batches have `labels`; or `loss` is
    as in `chymist.watch`. `findings` and `checkup` may be read at any time. A training that ends
    with an exception is not told to callbacks: then `close` takes the hooks away.
    """

    def __init__(self, loss: Callable[..., Any] | None = None, budget: float = 0.05) -> None:
        self.loss, self.budget = loss or loss_of, budget
        self.watch: Watch | None = None

    @property
    def checkup(self) -> Checkup:
        """The chart so far, and the findings that follow from it."""
        return Checkup.of(Chart()) if self.watch is None else self.watch.checkup

    @property
    def findings(self) -> tuple[Any, ...]:
        """The findings so far, worst first."""
        return self.checkup.findings

    def on_train_begin(
        self,
        args: Any,
        state: Any,
        control: Any,
        model: nn.Module | None = None,
        optimizer: Any = None,
        **_: Any,
    ) -> None:
        """Begin to watch."""
        bare = optimizer
        while not isinstance(getattr(bare, "optimizer", None), type(None)):
            bare = bare.optimizer
        if model is None or not isinstance(bare, torch.optim.Optimizer):
            raise UsageError("the Trainer shows no model and optimizer", "use chymist.watch")
        self.watch = watch(model, self.loss, bare, self.budget)
        self.watch.__enter__()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Examine once more, and leave."""
        self.close()

    def close(self) -> None:
        """End the watch, if it has not ended."""
        if self.watch is not None and not self.watch.ended:
            self.watch.__exit__(None, None, None)


def loss_of(output: Any) -> Any:
    """Return the loss that a model of transformers computes from labels."""
    found = output["loss"] if isinstance(output, dict) else output[0]
    if not isinstance(found, torch.Tensor) or found.ndim:
        raise UsageError("the model's output holds no loss", "give labels, or a loss")
    return found
