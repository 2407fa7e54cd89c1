"""In how many directions the neurons of each layer point, beside their start."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from chymist.doctor.patient import Patient
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments import stacked_neurons

LARGEST = 1024
"""Neurons, and inputs, of a layer up to which it is measured."""
LEAST = 8
"""Neurons, and inputs, from which on their number of directions says something."""


def measure(patient: Patient) -> Values:
    """Enter `directions`, the effective number of each layer's neurons', and that at the start.

    Of weights of two and more dimensions; `directions_start` where the start was kept.
    """
    own: dict[str, Tensor] = patient.memory["parameters"]
    birth = patient.memory.get("birth")
    entered: dict[str, dict[str, float]] = {"directions": {}, "directions_start": {}}
    for name, weight in own.items():
        layer, _, last = name.rpartition(".")
        small = min(weight.shape[0], weight[0].numel()) if weight.ndim > 1 else 0
        if last != "weight" or not small >= LEAST or max(weight.shape) > LARGEST:
            continue
        # transformers' own linear layer keeps its weight the other way round, as do these.
        module = patient.model.get_submodule(layer)
        turned = type(module).__name__ == "Conv1D"
        turned = turned or isinstance(module, nn.modules.conv._ConvTransposeNd)
        entered["directions"][layer] = _effective(own, layer, turned)
        if birth is not None:
            entered["directions_start"][layer] = _effective(birth.parameters, layer, turned)
    return entered


def _effective(parameters: Mapping[str, Tensor], layer: str, turned: bool) -> float:
    own = {n: p.detach() for n, p in parameters.items() if n.rpartition(".")[0] == layer}
    some = {n: (p.transpose(0, 1) if turned and p.ndim > 1 else p)[None] for n, p in own.items()}
    return float(stacked_neurons(some, layer).effective[0])


DIRECTIONS = Quantity("directions", measure, price=2, moments=("during",), needs="parameters")
