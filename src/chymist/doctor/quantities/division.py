"""Whether anything divides attention's logits between the projections and the softmax."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from chymist.doctor.patient import Patient
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments.layers import NETWORK, chosen
from chymist.instruments.passing import one_network

_aten = torch.ops.aten
_PROJECT = {_aten.mm, _aten.addmm, _aten.linear}
_PRODUCT = {_aten.bmm, _aten.baddbmm, _aten.matmul}
_SOFTMAX = {_aten._softmax, _aten._safe_softmax}
_SAME = {
    _aten.view, _aten._unsafe_view, _aten.reshape, _aten.permute, _aten.transpose, _aten.t,
    _aten.expand, _aten.clone, _aten.slice, _aten.select, _aten.split, _aten.split_with_sizes,
    _aten.chunk, _aten.unbind, _aten.unsqueeze, _aten.squeeze, _aten.masked_fill,
    _aten.masked_fill_, _aten.add, _aten.add_, _aten.where, _aten.alias, _aten.detach,
    _aten.unsafe_split, _aten._to_copy, _aten.contiguous,
}  # fmt: skip
_FACTOR = {_aten.mul, _aten.div, _aten.mul_, _aten.div_}


def measure(patient: Patient) -> Values:
    """Enter by module the width of the heads whose logits nothing divides: `undivided`.

    Followed from the projections (products with weights) through changes of shape, masks and
    biases to the product of queries with keys, and from there to the softmax. A factor on the way,
    or anything else that is not known, and nothing is said.
    """
    made = one_network(patient.model, patient.x, y=patient.y)
    stack: list[str] = []
    followed = _Followed(stack)

    def leave(name: str, tensor: Tensor) -> Tensor:
        while stack and stack.pop() != name:
            pass
        return tensor

    with torch.no_grad(), followed:
        made.run(leave, lambda name, _: stack.append(name), listened=chosen(made.model))
    return {"undivided": followed.found}


class _Followed(TorchDispatchMode):
    """Follows what comes from projections: 0 for their results, a width for products of two."""

    def __init__(self, stack: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stack = stack
        self.found: dict[str, float] = {}
        self.known: dict[int, int] = {}
        self.kept: list[Tensor] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        packet = function.overloadpacket
        given = [a for a in args if isinstance(a, Tensor)]
        state = self._state(packet, args, given)
        if state is not None:
            for tensor in made if isinstance(made, list | tuple) else [made]:
                if isinstance(tensor, Tensor):
                    self.known[id(tensor)] = state
                    self.kept.append(tensor)  # So that no other tensor gets its id.
        elif isinstance(made, Tensor):
            self.known.pop(id(made), None)
        return made

    def _state(self, packet: Any, args: Any, given: list[Tensor]) -> int | None:
        if packet in _PROJECT:
            return 0
        states = [self.known.get(id(t)) for t in given]
        known = [s for s in states if s is not None]
        if not known:
            return None
        if packet in _PRODUCT:
            both = len(given) >= 2 and states[:2] == [0, 0]
            return int(given[0].shape[-1]) if both else None
        if packet in _SOFTMAX:
            if known[0] > 0:
                own = self.stack[-1].partition("#")[0] if self.stack else NETWORK
                self.found.setdefault(own, float(known[0]))
            return None
        if packet in _SAME:
            return max(known)
        if packet in _FACTOR and len(args) > 1 and _one(args[1]):
            return max(known)
        return None


def _one(value: Any) -> bool:
    return isinstance(value, int | float) and value == 1


DIVISION = Quantity("division", measure, price=1.5, moments=("before",))
