"""The callbacks of PyTorch Lightning and of the Hugging Face Trainer, in their own loops."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from doctor.watched_loops import differing, left_behind, seeded
from torch import Tensor, nn
from torch.nn import functional

STEPS = 12


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        yield
    torch.set_num_threads(threads)


def needs(package: str) -> pytest.MarkDecorator:
    found = importlib.util.find_spec(package) is not None
    return pytest.mark.skipif(not found, reason=f"{package} is an extra")


@needs("lightning")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["forward", "child"])
def test_lightning(form: str, tmp_path: Path) -> None:
    import lightning.pytorch as pl

    from chymist.doctor.adapters.lightning import ChymistCallback

    class Own(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 3))

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            x, y = batch
            return functional.cross_entropy(self(x) if form == "forward" else self.net(x), y)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    if form == "forward":
        Own.forward = lambda self, x: self.net(x)

    def train(callbacks: list[Any]) -> dict[str, Any]:
        seeded()
        module = Own()
        data = [(torch.randn(16, 4), torch.randint(0, 3, (16,))) for _ in range(STEPS)]
        trainer = pl.Trainer(
            max_epochs=1, callbacks=callbacks, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
            default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=None))
        return left_behind(module.net, trainer.optimizers[0])

    callback = ChymistCallback(budget=1.0)
    assert differing(train([]), train([callback])) == []
    assert callback.checkup.chart.off == {}
    assert callback.watch is not None and callback.watch.steps == STEPS
    assert {"loss", "preconditioned_sharpness"} <= set(callback.checkup.chart.readings)


def tiny() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=17, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


@needs("transformers")
@pytest.mark.filterwarnings("ignore")
def test_the_trainer_of_transformers(tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    from chymist.doctor.adapters.transformers import ChymistCallback

    def train(callbacks: list[Any]) -> dict[str, Any]:
        seeded()
        model = tiny()
        rows = [{"input_ids": t, "labels": t} for t in torch.randint(0, 17, (8 * STEPS, 10))]
        arguments = TrainingArguments(
            output_dir=str(tmp_path), per_device_train_batch_size=8, num_train_epochs=1,
            report_to=[], save_strategy="no", logging_strategy="no", use_cpu=True,
            disable_tqdm=True, seed=0,
        )  # fmt: skip
        trainer = Trainer(
            model=model, args=arguments, train_dataset=rows, callbacks=callbacks
        )  # fmt: skip
        trainer.train()
        return left_behind(model, trainer.optimizer.optimizer)

    callback = ChymistCallback(budget=1.0)
    assert differing(train([]), train([callback])) == []
    assert callback.checkup.chart.off == {}
    assert callback.watch is not None and callback.watch.steps == STEPS
    assert {"loss", "signal", "attention_logit_std"} <= set(callback.checkup.chart.readings)


@needs("transformers")
@pytest.mark.filterwarnings("ignore")
def test_a_model_of_transformers_in_a_plain_loop() -> None:
    from doctor.watched_loops import Made, with_and_without

    def make() -> Made:
        model = tiny()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

        def step() -> None:
            tokens = torch.randint(0, 17, (8, 10))
            optimizer.zero_grad()
            model(input_ids=tokens, labels=tokens).loss.backward()
            optimizer.step()

        return model, lambda out: out.loss, optimizer, step

    differ, w = with_and_without(make, 21, every=10)
    assert differ == []
    assert w.chart.off == {}
    assert {"preconditioned_sharpness", "noise_trace"} <= set(w.chart.readings)
