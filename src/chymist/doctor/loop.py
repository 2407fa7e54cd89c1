"""What a user's own training loop shows of itself: the batch, the target, the loss.

Nothing is asked of the loop. Inputs are seen by hooks on the model. The target and the loss's value
are seen by a hook on the loss where it is a module; where it is a function, by Python's profiler,
which is set from the model's return to the loss's, and only at steps at which something is due.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

PATIENCE = 3000
"""Calls between the model's return and the loss's after which the loss is not waited for."""
USUAL = (
    functional.cross_entropy, functional.mse_loss, functional.nll_loss,
    functional.binary_cross_entropy, functional.binary_cross_entropy_with_logits,
    functional.l1_loss, functional.smooth_l1_loss, functional.huber_loss,
)  # fmt: skip
"""PyTorch's own losses, which are recognised where the loss that was given is not called."""


@dataclass
class Call:
    """The last training call of the model; `target` and `value` once the loss has been seen.

    `own` says whether the loss was the one that was given, or one of PyTorch's called in its place:
    then `instead` is that function, bound to its options. `shape` is that of the loss's input,
    which may be the model's output in another shape.
    """

    args: tuple[Any, ...]
    words: dict[str, Any]
    target: Any = None
    value: Tensor | None = None
    own: bool = False
    instead: Callable[..., Any] | None = None
    shape: torch.Size | None = None


class Loop:
    """Listens to a model and its loss.

    `last` is the last training call (evaluation is not seen), `seen` that whose loss was seen. Of a
    loss that is a closure there is neither, but `inputs`, of its calls the one of most samples.
    `looking` asks for the target and the loss's value of the next calls. While `deaf` nothing is
    noted: the doctor itself is calling. `spent` are the seconds that listening took.
    """

    def __init__(self, model: nn.Module, loss: Callable[..., Any] | None, takes: int) -> None:
        self.model, self.loss, self.takes = model, loss, takes
        self.last: Call | None = None
        self.seen: Call | None = None
        self.calls = 0
        self.inputs: Call | None = None
        self.looking = True
        self.deaf = False
        self._differentiates = False
        self._hooks: list[Any] = []
        self._code, self._skip = code_of(loss)
        self._usual = {f.__code__: f for f in USUAL}
        self._frame: FrameType | None = None
        self._heard = 0
        self._told = False
        self.spent = 0.0

    def open(self) -> None:
        """Begin to listen."""
        self._hooks = [
            self.model.register_forward_pre_hook(self._entered, with_kwargs=True),
            self.model.register_forward_hook(self._left),
        ]
        if isinstance(self.loss, nn.Module):
            self._hooks.append(self.loss.register_forward_hook(self._judged, with_kwargs=True))

    def close(self) -> None:
        """Listen no more, and leave nothing behind."""
        self.quiet()
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def quiet(self) -> None:
        """Take the profiler away, if it is set."""
        if sys.getprofile() == self._listen:
            sys.setprofile(None)
        self._frame = None

    def tell(self, output: Any, target: Any, value: Any) -> None:
        """Note what a loss was called with, and what it gave."""
        if self.last is None or self.deaf:
            return
        self.quiet()
        self.last.target, self.last.own, self.last.instead = target, True, None
        self.last.shape = output.shape if isinstance(output, Tensor) else None
        self.last.value = value.detach() if isinstance(value, Tensor) else None
        self._told = True
        self.seen = self.last

    def _entered(self, _: nn.Module, args: tuple[Any, ...], words: dict[str, Any]) -> None:
        # In a compiled region this is a constant, and nothing of the hook remains.
        if torch.compiler.is_compiling() or self.deaf or not torch.is_grad_enabled():
            return
        start = time.perf_counter()
        self.quiet()
        if self.takes:
            self.last = Call(args, words)
            self.calls += 1
        elif self.looking and (self.inputs is None or _rows(self.inputs) <= _rows_of(args, words)):
            self.inputs = Call(args, words)
        self.spent += time.perf_counter() - start

    def _left(self, _: nn.Module, __: Any, output: Any) -> None:
        if torch.compiler.is_compiling() or self.deaf or not self.looking or self.last is None:
            return
        if not torch.is_grad_enabled() or self._told:
            return
        if self.takes == 1 and self.loss is not None and not self._differentiates:
            start = time.perf_counter()
            self._evaluate(self.last, output)
            self.spent += time.perf_counter() - start
        elif sys.getprofile() is None:
            self._frame, self._heard = None, 0
            sys.setprofile(self._listen)

    def _evaluate(self, last: Call, output: Any) -> None:
        """Note a loss of the output alone; one that cannot be had without gradients is heard."""
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                value = self.loss(output)  # type: ignore[misc]
        except Exception:
            self._differentiates = True
            return
        last.value = value.detach() if isinstance(value, Tensor) else None
        last.own, self.seen = True, last

    def _judged(self, _: nn.Module, args: tuple[Any, ...], words: dict[str, Any], out: Any) -> None:
        if torch.compiler.is_compiling() or self.deaf or not torch.is_grad_enabled():
            return
        given = [*args, *words.values()]
        self.tell(given[0] if given else None, given[1] if len(given) > 1 else None, out)

    def _listen(self, frame: FrameType, event: str, arg: Any) -> None:
        start = time.perf_counter()
        self._hear(frame, event, arg)
        self.spent += time.perf_counter() - start

    def _hear(self, frame: FrameType, event: str, arg: Any) -> None:
        self._heard += 1
        last = self.last
        if last is None or self._heard > PATIENCE:
            self.quiet()
        elif event == "call" and self._frame is None:
            code = frame.f_code
            if code is self._code:
                self._frame = frame
                shown = _argument(frame, self._skip)
                last.own = True
                last.target = _argument(frame, 1 + self._skip) if self.takes > 1 else None
                last.shape = shown.shape if isinstance(shown, Tensor) else None
            elif code in self._usual and not last.own:
                self._frame = frame
                _note_usual(last, self._usual[code], frame)
        elif event == "return" and frame is self._frame:
            last.value = arg.detach() if isinstance(arg, Tensor) else None
            self._frame, self.seen = None, last
            if last.own:
                self.quiet()


def _rows(call: Call) -> int:
    return _rows_of(call.args, call.words)


def _rows_of(args: tuple[Any, ...], words: dict[str, Any]) -> int:
    """Return how many samples a call has: the rows of its first tensor."""
    given = (t for t in (*args, *words.values()) if isinstance(t, Tensor) and t.ndim)
    return next((len(t) for t in given), 0)


def code_of(loss: Any) -> tuple[CodeType | None, int]:
    """Return the code that runs when a loss is called, and how many arguments come before its own.

    >>> code_of(functools.partial(functional.mse_loss, reduction="sum"))[1]
    0
    """
    if isinstance(loss, functools.partial):
        code, skip = code_of(loss.func)
        return code, skip + len(loss.args)
    if isinstance(loss, nn.Module):
        return None, 0
    if hasattr(loss, "__func__"):
        return getattr(loss.__func__, "__code__", None), 1
    if hasattr(loss, "__code__"):
        return loss.__code__, 0
    return getattr(vars(type(loss)).get("__call__"), "__code__", None), 1


def _argument(frame: FrameType, place: int) -> Any:
    """Return a positional argument of a call that begins."""
    code = frame.f_code
    if place < code.co_argcount:
        return frame.f_locals.get(code.co_varnames[place])
    if code.co_flags & 0x04:
        rest = frame.f_locals.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ())
        return rest[place - code.co_argcount] if place - code.co_argcount < len(rest) else None
    return None


def _note_usual(last: Call, function: Callable[..., Any], frame: FrameType) -> None:
    given = dict(frame.f_locals)
    first, second = frame.f_code.co_varnames[:2]
    shown = given.pop(first, None)
    last.target = given.pop(second, None)
    last.instead = functools.partial(function, **given)
    last.shape = shown.shape if isinstance(shown, Tensor) else None
