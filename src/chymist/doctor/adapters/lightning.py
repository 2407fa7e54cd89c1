"""A callback that watches a training of PyTorch Lightning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from chymist.doctor.chart import Chart
from chymist.doctor.checkup import Checkup
from chymist.doctor.during_training import Watch, watch
from chymist.errors import UsageError

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError:
    try:
        from pytorch_lightning import Callback, LightningModule, Trainer
    except ImportError as error:
        raise UsageError(
            "PyTorch Lightning is not installed", "pip install 'chymist[lightning]'"
        ) from error


class ChymistCallback(Callback):
    """Watches `trainer.fit`, as `chymist.watch` does any loop: `Trainer(callbacks=[callback])`.

    `model` is what `training_step` calls: by default the module itself if it calls `self(x)`, else
    its only child with parameters. `loss` is as in `chymist.watch`; without it one of PyTorch's own
    that `training_step` calls is recognised. Of several optimizers the first is watched. `findings`
    and `checkup` may be read at any time.
    """

    def __init__(
        self,
        loss: Callable[..., Any] | None = None,
        model: nn.Module | None = None,
        budget: float = 0.05,
    ) -> None:
        self.loss, self.model, self.budget = loss, model, budget
        self.watch: Watch | None = None

    @property
    def checkup(self) -> Checkup:
        """The chart so far, and the findings that follow from it."""
        return Checkup.of(Chart()) if self.watch is None else self.watch.checkup

    @property
    def findings(self) -> tuple[Any, ...]:
        """The findings so far, worst first."""
        return self.checkup.findings

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to watch."""
        bare = [getattr(o, "optimizer", o) for o in trainer.optimizers]
        if not bare:
            raise UsageError("the training has no optimizer", "return one: configure_optimizers")
        model = self.model if self.model is not None else called_by(pl_module)
        self.watch = watch(model, self.loss, bare[0], self.budget)
        self.watch.__enter__()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Examine once more, and leave."""
        if self.watch is not None:
            self.watch.__exit__(None, None, None)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave; the exception goes its way."""
        if self.watch is not None:
            self.watch.__exit__(type(exception), exception, exception.__traceback__)


def called_by(module: LightningModule) -> nn.Module:
    """Return what a module's `training_step` calls: itself, where it has a forward of its own.

    Raises:
        UsageError: it has none, and several children with parameters.
    """
    if type(module).forward is not LightningModule.forward:
        return module
    inner = [m for m in module.children() if any(True for _ in m.parameters())]
    if len(inner) == 1:
        return inner[0]
    raise UsageError(
        f"{type(module).__name__} has {len(inner)} modules that its training step may call",
        "name it: ChymistCallback(model=module.net)",
    )
