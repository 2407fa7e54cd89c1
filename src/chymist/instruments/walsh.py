"""Functions on the cube {-1, 1}^n by degree: what parity is made of, and what is learnt of it.

Convention: c_S = 2^-n sum_x f(x) prod_(j in S) x_j, so that sum_S c_S^2 is the mean of f^2. Points
and sets are numbered alike: bit j of a point's number is 1 where x_j = -1, bit j of a set's where j
is in it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.alone import outputs
from chymist.instruments.passing import one_network
from chymist.instruments.snapshot import Instrument, Snapshot

MOST = 20
"""Bits of a cube that is evaluated whole: a million points."""


def cube(bits: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, "point bit"]:
    """Return all points of {-1, 1}^bits, in the order of their numbers.

    Raises:
        BadParameter: bits is not 1 to 20.

    >>> cube(2).tolist()
    [[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]
    """
    if not 1 <= bits <= MOST:
        raise BadParameter(f"bits is {bits}", f"1 to {MOST}: the whole cube is evaluated")
    number = torch.arange(2**bits)
    return (1 - 2 * ((number[:, None] >> torch.arange(bits)) & 1)).to(dtype)


def walsh_transform(values: Float[Tensor, "*lane point"]) -> Float[Tensor, "*lane set"]:
    """Return the coefficient c_S = 2^-n sum_x f(x) prod_(j in S) x_j of every set S.

    Exact, by n rounds of sums and differences. Shapes: (*lane, 2^n), of the values' precision.
    Unit: the values'. Cost: n 2^n additions a lane. Memory: three times the values. Error:
    rounding. Source: O'Donnell (2014), Analysis of Boolean Functions, section 1.4.

    Raises:
        CannotMeasure: the points are not a power of two.

    Parity of both bits is the one set of both:

    >>> walsh_transform(cube(2).prod(1))
    tensor([0., 0., 0., 1.], dtype=torch.float64)
    """
    points = values.shape[-1] if values.ndim else 0
    bits = points.bit_length() - 1
    if points < 1 or 2**bits != points:
        raise CannotMeasure(f"there are {points} points", "a cube has a power of two")
    found = values
    for _ in range(bits):
        # The last bit of the number moves to the front; after all rounds each is back in place.
        even, odd = found[..., 0::2], found[..., 1::2]
        found = torch.cat([even + odd, even - odd], dim=-1)
    return found / points


def degree_spectrum(values: Float[Tensor, "*lane point"]) -> Float[Tensor, "*lane degree"]:
    """Return the energy of each degree k = 0..n of a function on the cube, sum_(|S| = k) c_S^2.

    Their sum is the mean of f^2. Shapes: (*lane, n + 1). Unit: the values', squared. Cost, memory,
    error, source: `walsh_transform`.

    Raises:
        CannotMeasure: the points are not a power of two.

    Of majority of three bits three quarters are linear, and a quarter is parity:

    >>> degree_spectrum(cube(3).sum(1).sign())
    tensor([0.0000, 0.7500, 0.0000, 0.2500], dtype=torch.float64)
    """
    found = walsh_transform(values).square()
    bits = found.shape[-1].bit_length() - 1
    degree = (cube(bits) < 0).sum(1) if bits else torch.zeros(1, dtype=torch.long)
    energy = found.new_zeros((*found.shape[:-1], bits + 1))
    return energy.index_add(-1, degree.to(found.device), found)


def walsh_degrees(model: nn.Module, bits: int) -> Float[Tensor, " degree"]:
    """Energy of each degree of the function that a network makes of {-1, 1}^bits.

    The sum over sets S of k bits of c_S^2, c_S = 2^-bits sum_x f(x) prod_(j in S) x_j over the
    whole cube; several outputs are added. All is at degree `bits` for parity; divide by the sum for
    shares. Shapes: (degree,), bits + 1 of them, float64. Unit: the outputs', squared. Cost: three
    forward passes over 2^bits points, two of them checks, and the transform. Memory: the cube and
    outputs. Error: rounding of the network's dtype. Source: O'Donnell (2014), Analysis of Boolean
    Functions, section 1.4; parity: Xu, Zhang, Luo, Xiao, Ma (2020), arXiv:1901.06523.

    Raises:
        BadParameter: bits is not 1 to 20.
        CannotMeasure, MovingTarget: see `alone`.

    >>> walsh_degrees(nn.Sequential(nn.Flatten(), nn.Hardtanh(-0.5, 0.5)), 2)
    tensor([0.0000, 0.5000, 0.0000], dtype=torch.float64)
    """
    states = [p for p in model.parameters() if p.is_floating_point()]
    like = states[0] if states else torch.empty(0, dtype=torch.float64)
    points = cube(bits).to(like)
    with torch.no_grad():
        out = outputs(one_network(model, points))[0].double()
    return degree_spectrum(out.mT).sum(0)


def training_walsh(bits: int, *, name: str = "degree_energy") -> Instrument:
    """Return an instrument that records the energy of each degree on the whole cube {-1, 1}^bits.

    The numbers are those of `walsh_degrees`, of all lanes at once, whatever they are trained on.
    Shape: (lane, degree), bits + 1 degrees. Unit: the outputs', squared. Cost: a forward pass over
    2^bits points. Memory: the cube, and three times the outputs. Error: rounding of the training's
    dtype. Source: as `walsh_degrees`.

    Raises:
        BadParameter: bits is not 1 to 20.

    >>> training_walsh(2).coords
    {'degree': [0, 1, 2]}
    """
    points = cube(bits)

    def measure(snapshot: Snapshot) -> Tensor:
        out = snapshot.predict(points.to(snapshot.x))
        return degree_spectrum(out.mT).sum(-2)

    return Instrument(
        name, measure, ("degree",), {"degree": list(range(bits + 1))},
        long_name="energy of a degree on the cube",
    )  # fmt: skip
