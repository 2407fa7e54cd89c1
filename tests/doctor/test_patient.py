"""Patients as users have them: nothing of theirs is changed, and as much as can be is measured."""

from __future__ import annotations

import random
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from doctor.patients import (
    Language,
    adam,
    classes,
    cross_entropy,
    loud,
    mlp,
    of_tokens,
    sgd,
    squares,
    tokens,
)
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import chymist
from chymist.doctor import facts
from chymist.doctor.patient import patient
from chymist.errors import UsageError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.nn.utils import prune, spectral_norm, weight_norm


def measured(found: Any) -> set[str]:
    return set(found.chart.readings)


ESSENTIAL = {"loss", "gradient_rms", "signal", "signal_backward", "sharpness", "trial_end"}


@dataclass
class Answer:
    """What a model that computes its own loss returns."""

    logits: Tensor
    loss: Tensor | None = None


class OwnLoss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(16, 32), nn.Linear(32, 16)

    def forward(
        self, input_ids: Tensor, labels: Tensor | None = None, mask: Tensor | None = None,
        return_dict: bool = True,
    ) -> Any:  # fmt: skip
        out = self.head(self.words(input_ids))
        lost = None if labels is None else of_tokens(out, labels)
        return Answer(out, lost) if return_dict else (out, lost)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.GRU(6, 16), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.inner(x)[0][-1]))


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.one, self.two = nn.Linear(20, 32), nn.Linear(32, 5), nn.Linear(32, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        hidden = torch.relu(self.body(x))
        return {"class": self.one(hidden), "size": self.two(hidden)}


class Masked(nn.Module):
    """Takes a mask of positions, which has no samples."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(16, 32)
        self.inner = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.head = nn.Linear(32, 16)

    def forward(self, x: Tensor, mask: Tensor, flag: bool = False) -> Tensor:
        return torch.as_tensor(self.head(self.inner(self.words(x), src_mask=mask)))


def of_heads(out: dict[str, Tensor], y: dict[str, Tensor]) -> Tensor:
    return cross_entropy(out["class"], y["class"]) + squares(out["size"][:, 0], y["size"])


def own_loss(mapping: bool) -> tuple[nn.Module, Callable[..., Tensor], Any]:
    x, y = tokens()
    if mapping:
        batch = {"input_ids": x, "labels": y, "mask": None, "return_dict": True}
        return OwnLoss(), lambda out: out.loss, batch
    return OwnLoss(), lambda out: out[1], (x, y, None, False)


def sequence_first() -> tuple[nn.Module, Callable[..., Tensor], Any]:
    x = torch.randn(12, 32, 6)
    return Recurrent(), squares, (x, x.mean((0, 2))[:, None])


def two_heads() -> tuple[nn.Module, Callable[..., Tensor], Any]:
    x, y = classes()
    return TwoHeads(), of_heads, (x, {"class": y, "size": x[:, 0]})


def flattened() -> tuple[nn.Module, Callable[..., Tensor], Any]:
    x, y = tokens()
    return Language(), lambda out, y: cross_entropy(out.flatten(0, 1), y), (x, y.flatten())


def masked() -> tuple[nn.Module, Callable[..., Tensor], Any]:
    x, y = tokens()
    return Masked(), of_tokens, ((x, torch.zeros(20, 20), False), y)


def no_targets() -> tuple[nn.Module, Callable[..., Tensor], Any]:
    return mlp([20, 32, 20]), lambda out, y: out.square().mean() + 1, (torch.randn(64, 20), None)


def half() -> tuple[nn.Module, Callable[..., Tensor], Any]:
    x, y = classes()
    return mlp([20, 32, 5]).bfloat16(), cross_entropy, (x.bfloat16(), y)


def tied() -> tuple[nn.Module, Callable[..., Tensor], Any]:
    return Language(), of_tokens, tokens()


def frozen() -> tuple[nn.Module, Callable[..., Tensor], Any]:
    model = mlp([20, 32, 32, 5])
    model[0].requires_grad_(False)
    return model, cross_entropy, classes()


FORMS: dict[str, Callable[[], tuple[nn.Module, Callable[..., Tensor], Any]]] = {
    "its own loss, by name": lambda: own_loss(True),
    "its own loss, by place": lambda: own_loss(False),
    "sequences first": sequence_first,
    "two heads": two_heads,
    "targets flattened": flattened,
    "a mask without samples": masked,
    "no targets": no_targets,
    "half precision": half,
    "tied": tied,
    "frozen": frozen,
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_models_and_batches(name: str) -> None:
    model, loss, batch = FORMS[name]()
    found = chymist.preflight(model, loss, batch, adam(model))
    missing = {"trial_end"} if name == "half precision" else set()
    assert measured(found) >= ESSENTIAL - missing
    assert loud(found) == []


def test_mixed_precisions_are_measured_in_one_without_touching_them() -> None:
    model, (x, y) = mlp([20, 32, 32, 5]), classes()
    model[0].bfloat16()
    model.register_buffer("table", torch.zeros(3, dtype=torch.float64))

    class Casting(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            x = self[0](x.to(self[0].weight.dtype)).float()
            for layer in list(self)[1:]:
                x = layer(x)
            return x

    casting = Casting(*model)
    before = {n: (p.dtype, p.detach().clone()) for n, p in casting.named_parameters()}
    found = chymist.preflight(casting, cross_entropy, (x, y))
    assert measured(found) >= ESSENTIAL - {"trial_end"}
    for name, p in casting.named_parameters():
        assert p.dtype == before[name][0] and torch.equal(p, before[name][1])


@pytest.mark.parametrize("kind", ["weight", "spectral", "pruned", "parametrised"])
def test_weights_that_are_computed_stay_computed(kind: str) -> None:
    model, (x, y) = mlp([20, 32, 5]), classes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "weight":
            weight_norm(model[0])
        elif kind == "spectral":
            spectral_norm(model[0])
        elif kind == "pruned":
            prune.random_unstructured(model[0], "weight", 0.5)
        else:
            parametrizations.weight_norm(model[0])
        found = chymist.preflight(model, cross_entropy, (x, y), adam(model))
        own = float(cross_entropy(model.eval()(x), y).detach())
    assert found.chart.off == {}
    assert found.chart.last("loss").value == pytest.approx(own, rel=1e-5)  # type: ignore[union-attr]


def test_a_compiled_model_and_a_compiled_part_are_taken_as_they_were() -> None:
    class Compiled(nn.Module):
        """As `torch.compile` wraps, without compiling."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self._orig_mod = inner

        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("compiled code was called")

    model = nn.Sequential(Compiled(nn.Linear(20, 32)), nn.ReLU(), nn.Linear(32, 5))
    for whole in (model, Compiled(model)):
        found = chymist.preflight(whole, cross_entropy, classes(), adam(whole))
        assert measured(found) >= ESSENTIAL and loud(found) == []
        assert "0.weight" in found.chart.last("gradient_rms").values  # type: ignore[union-attr]


def test_what_cannot_be_copied_is_shared() -> None:
    model = mlp([20, 32, 5])
    model.lock = threading.Lock()  # type: ignore[assignment]
    model.kept = model(torch.ones(1, 20))  # type: ignore[assignment]
    found = chymist.preflight(model, cross_entropy, classes(), adam(model))
    assert measured(found) >= ESSENTIAL


def test_a_generator_of_the_model_is_not_advanced() -> None:
    class Drawing(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            self.draws(torch.rand(1, generator=self.chance))
            return super().forward(x)

        def draws(self, value: Tensor) -> None:
            self.last = value

    model = Drawing(20, 5)
    model.chance = torch.Generator().manual_seed(3)  # type: ignore[assignment]
    before = model.chance.get_state()  # type: ignore[operator, union-attr]
    chymist.preflight(model, cross_entropy, classes(), sgd(model))
    assert torch.equal(model.chance.get_state(), before)  # type: ignore[operator, union-attr]


class Restless(nn.Module):
    """Is another function at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.calls = nn.Linear(20, 5), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return torch.as_tensor(self.inner(x + self.calls))


def test_a_moving_target_switches_off_what_it_moves_with_a_line_each() -> None:
    model = Restless()
    found = chymist.preflight(model, cross_entropy, classes(), adam(model))
    assert {"signals", "stability"} <= set(found.chart.off)
    assert all(line and "\n" not in line for line in found.chart.off.values())


def test_a_model_that_raises_switches_everything_off_and_returns() -> None:
    class Broken(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("out of order\nat once")

    model = Broken(20, 5)
    found = chymist.preflight(model, cross_entropy, classes(), adam(model))
    assert all("\n" not in line for line in found.chart.off.values())
    assert {"objective", "signals", "stability", "trial"} <= set(found.chart.off)


def everything(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Any]:
    state = [v for s in optimizer.state.values() for v in s.values() if isinstance(v, Tensor)]
    return [
        *(p.detach().clone() for p in model.parameters()), *(b.clone() for b in model.buffers()),
        *(p.grad.clone() for p in model.parameters() if p.grad is not None),
        *(s.clone() for s in state), [m.training for m in model.modules()],
        torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist(),  # noqa: NPY002
        [len(m._forward_hooks) for m in model.modules()],
    ]  # fmt: skip


def test_nothing_of_the_users_is_changed() -> None:
    model, (x, y) = mlp([20, 32, 32, 5], norm=True), classes()
    model.insert(2, nn.Dropout(0.5))
    model[0].register_forward_hook(lambda *_: None)
    optimizer = adam(model)
    cross_entropy(model(x), y).backward()
    optimizer.step()
    before = everything(model, optimizer)
    chymist.preflight(model, cross_entropy, (x, y), optimizer)
    for one, two in zip(before, everything(model, optimizer), strict=True):
        assert torch.equal(one, two) if isinstance(one, Tensor) else one == two


@pytest.mark.parametrize(
    ("loss", "batch", "said"),
    [
        (lambda: 0, classes(2), "0 arguments"),
        (cross_entropy, torch.zeros(3, 20), "of type Tensor"),
        (lambda out: out, {"x": None}, "no tensor"),
        ("mse", classes(2), "of type str"),
    ],
)
def test_other_forms_are_refused_in_a_line(loss: Any, batch: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        patient(mlp([20, 5]), loss, batch)


def test_classes_are_as_many_as_outputs_whichever_a_batch_has() -> None:
    model = nn.Linear(4, 10)
    y = torch.tensor([0, 1, 2])
    one = patient(model, nn.functional.cross_entropy, (torch.randn(3, 4), y))
    assert facts.data(one)["classes"] == 10
    tokens = nn.Embedding(7, 7)
    ids = torch.zeros(2, 5, dtype=torch.int64)

    def loss(out: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(out.flatten(0, 1), y)

    assert facts.data(patient(tokens, loss, (ids, ids.flatten())))["classes"] == 7
    counts = patient(nn.Linear(4, 1), lambda out, y: (out[:, 0] - y).square().mean(),
                     (torch.randn(3, 4), y))  # fmt: skip
    assert "classes" not in facts.data(counts)


def test_what_a_model_draws_is_the_same_at_every_call() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.inner(x + torch.randn_like(x)))

    model = Noisy()
    before = torch.get_rng_state()
    x, y = torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 3
    found = chymist.preflight(model, nn.functional.cross_entropy, (x, y))
    assert found.chart.off == {} and "sharpness" in found.chart.readings
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(model(x), model(x))


def test_transposed_convolutions_have_directions() -> None:
    model = nn.Sequential(nn.ConvTranspose1d(8, 16, 9), nn.Flatten(), nn.Linear(16 * 9, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    loss = nn.MSELoss()
    with chymist.watch(model, loss, optimizer, every=1) as w:
        for _ in range(2):
            loss(model(torch.randn(8, 8, 1)), torch.zeros(8, 2)).backward()
            optimizer.step()
    assert "directions" not in w.chart.off
    assert w.chart.last("directions").values["0"] > 1  # type: ignore[union-attr]
