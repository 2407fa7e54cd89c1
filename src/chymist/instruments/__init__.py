"""Instruments: measurements of (model, parameters, data), for all lanes at once.

An instrument may not import `chymist.theory`: a measurement must not know what it ought to find.
"""

from chymist.instruments.density import Density, spectral_density
from chymist.instruments.directions import (
    Alignment,
    directional_curvature,
    gradient_alignment,
    training_alignment,
)
from chymist.instruments.drift import relative_drift
from chymist.instruments.eigenpairs import Eigenpairs, eigenpairs
from chymist.instruments.fisher import (
    categorical,
    empirical_fisher,
    gaussian,
    monte_carlo_fisher,
)
from chymist.instruments.frequency import (
    band_error,
    own_error,
    radial_bands,
    residual_spectrum,
    spectral_error,
    spectral_peaks,
)
from chymist.instruments.gauss_newton import gauss_newton
from chymist.instruments.hessian import hessian
from chymist.instruments.inertia import Inertia, inertia
from chymist.instruments.kernel_alignment import KernelDrift, kernel_alignment, kernel_drift
from chymist.instruments.kernel_spectrum import KernelSpectrum, kernel_spectrum
from chymist.instruments.kernel_training import predicted_residuals
from chymist.instruments.kernels import conjugate_kernel, empirical_ntk, fourier_diagonal, ntk
from chymist.instruments.learning import area_under, time_to
from chymist.instruments.objective import Objective
from chymist.instruments.one_network import objective
from chymist.instruments.operators import Operator, dense, preconditioned
from chymist.instruments.probes import Estimate
from chymist.instruments.quality import held_out_psnr, psnr, training_psnr
from chymist.instruments.sharpness import sharpness, training_sharpness
from chymist.instruments.snapshot import Instrument, Snapshot, loss
from chymist.instruments.trace import frobenius_norm, trace, training_trace
from chymist.instruments.training_kernels import (
    training_kernel_alignment,
    training_kernel_drift,
    training_kernel_spectrum,
)

__all__ = [
    "Alignment",
    "Density",
    "Eigenpairs",
    "Estimate",
    "Inertia",
    "Instrument",
    "KernelDrift",
    "KernelSpectrum",
    "Objective",
    "Operator",
    "Snapshot",
    "area_under",
    "band_error",
    "categorical",
    "conjugate_kernel",
    "dense",
    "directional_curvature",
    "eigenpairs",
    "empirical_fisher",
    "empirical_ntk",
    "fourier_diagonal",
    "frobenius_norm",
    "gauss_newton",
    "gaussian",
    "gradient_alignment",
    "held_out_psnr",
    "hessian",
    "inertia",
    "kernel_alignment",
    "kernel_drift",
    "kernel_spectrum",
    "loss",
    "monte_carlo_fisher",
    "ntk",
    "objective",
    "own_error",
    "preconditioned",
    "predicted_residuals",
    "psnr",
    "radial_bands",
    "relative_drift",
    "residual_spectrum",
    "sharpness",
    "spectral_density",
    "spectral_error",
    "spectral_peaks",
    "time_to",
    "trace",
    "training_alignment",
    "training_kernel_alignment",
    "training_kernel_drift",
    "training_kernel_spectrum",
    "training_psnr",
    "training_sharpness",
    "training_trace",
]
