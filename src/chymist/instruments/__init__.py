"""Instruments: measurements of (model, parameters, data), for all lanes at once.

An instrument may not import `chymist.theory`: a measurement must not know what it ought to find.
"""

from chymist.instruments.drift import relative_drift
from chymist.instruments.frequency import (
    band_error,
    own_error,
    radial_bands,
    residual_spectrum,
    spectral_error,
    spectral_peaks,
)
from chymist.instruments.kernels import empirical_ntk, fourier_diagonal
from chymist.instruments.learning import area_under, time_to
from chymist.instruments.quality import held_out_psnr, psnr, training_psnr
from chymist.instruments.snapshot import Instrument, Snapshot, loss

__all__ = [
    "Instrument",
    "Snapshot",
    "area_under",
    "band_error",
    "empirical_ntk",
    "fourier_diagonal",
    "held_out_psnr",
    "loss",
    "own_error",
    "psnr",
    "radial_bands",
    "relative_drift",
    "residual_spectrum",
    "spectral_error",
    "spectral_peaks",
    "time_to",
    "training_psnr",
]
