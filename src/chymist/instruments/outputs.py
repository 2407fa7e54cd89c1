"""The outputs along a training."""

from __future__ import annotations

from chymist.instruments.snapshot import Instrument


def training_outputs(
    samples: int, output: int = 0, name: str = "output", stride: int = 1
) -> Instrument:
    """One output of every lane on its training inputs, of which there are so many.

    Of every `stride`-th of them, the first one included; coordinates are their places.

    Shape: (lane, sample). Unit: 1, that of the targets. Cost: nothing in full batch, where the
    training's own forward pass is used, else one forward pass. Memory: them, at every recording.
    Error: none. Source: none; what the networks return.

    >>> training_outputs(3).dims
    ('sample',)
    >>> training_outputs(5, stride=2).coords
    {'sample': [0, 2, 4]}
    """
    return Instrument(
        name,
        lambda snapshot: snapshot.prediction[..., ::stride, output],
        dims=("sample",),
        coords={"sample": list(range(0, samples, stride))},
        long_name="output on the training inputs",
    )
