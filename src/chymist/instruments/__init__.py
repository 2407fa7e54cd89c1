"""Instruments: measurements of (model, parameters, data), for all lanes at once.

An instrument may not import `chymist.theory`: a measurement must not know what it ought to find.
"""

from chymist.instruments.coordinates import CoordinateCheck, coordinate_check
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
from chymist.instruments.kernels import empirical_ntk, fourier_diagonal
from chymist.instruments.learning import area_under, time_to
from chymist.instruments.moments import Moments, second_moments, training_moments
from chymist.instruments.objective import Objective
from chymist.instruments.one_network import objective
from chymist.instruments.operators import Operator, dense, preconditioned
from chymist.instruments.probes import Estimate
from chymist.instruments.quality import held_out_psnr, psnr, training_psnr
from chymist.instruments.saturation import (
    Saturation,
    attention_saturation,
    softmax_saturation,
)
from chymist.instruments.sharpness import sharpness, training_sharpness
from chymist.instruments.similarity import (
    Similarity,
    TokenSimilarity,
    sample_similarity,
    token_similarity,
    training_similarity,
    training_token_similarity,
)
from chymist.instruments.singular_values import (
    Singular,
    jacobian_singular_values,
    training_jacobian,
)
from chymist.instruments.snapshot import Instrument, Snapshot, loss
from chymist.instruments.trace import frobenius_norm, trace, training_trace
from chymist.instruments.updates import (
    stacked_update_ratio,
    training_update_ratio,
    update_ratio,
)

__all__ = [
    "Alignment",
    "CoordinateCheck",
    "Density",
    "Eigenpairs",
    "Estimate",
    "Inertia",
    "Instrument",
    "Moments",
    "Objective",
    "Operator",
    "Saturation",
    "Similarity",
    "Singular",
    "Snapshot",
    "TokenSimilarity",
    "area_under",
    "attention_saturation",
    "band_error",
    "categorical",
    "coordinate_check",
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
    "jacobian_singular_values",
    "loss",
    "monte_carlo_fisher",
    "objective",
    "own_error",
    "preconditioned",
    "psnr",
    "radial_bands",
    "relative_drift",
    "residual_spectrum",
    "sample_similarity",
    "second_moments",
    "sharpness",
    "softmax_saturation",
    "spectral_density",
    "spectral_error",
    "spectral_peaks",
    "stacked_update_ratio",
    "time_to",
    "token_similarity",
    "trace",
    "training_alignment",
    "training_jacobian",
    "training_moments",
    "training_psnr",
    "training_sharpness",
    "training_similarity",
    "training_token_similarity",
    "training_trace",
    "training_update_ratio",
    "update_ratio",
]
