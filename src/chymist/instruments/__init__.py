"""Instruments: measurements of (model, parameters, data), for all lanes at once.

An instrument may not import `chymist.theory`: a measurement must not know what it ought to find.
"""

from chymist.instruments.activity import Activity, activity
from chymist.instruments.condensation import (
    Clusters,
    Neurons,
    clusters,
    neurons,
    stacked_neurons,
    training_condensation,
)
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
from chymist.instruments.gradient_noise import (
    Covariance,
    gradient_covariance,
    gradient_norms,
    gradient_variance,
)
from chymist.instruments.hessian import hessian
from chymist.instruments.inertia import Inertia, inertia
from chymist.instruments.kernels import empirical_ntk, fourier_diagonal
from chymist.instruments.layers import features
from chymist.instruments.learning import area_under, time_to
from chymist.instruments.noise_alignment import (
    NoiseAlignment,
    NonUniformity,
    noise_alignment,
    nonuniformity,
)
from chymist.instruments.noise_scale import (
    NoiseScale,
    averaged_noise_scale,
    critical_batch,
    noise_scale,
    training_noise_scale,
    two_batch_noise_scale,
)
from chymist.instruments.objective import Objective
from chymist.instruments.one_network import objective
from chymist.instruments.operators import Operator, dense, preconditioned
from chymist.instruments.per_sample import PerSample, Sampler, sampler
from chymist.instruments.probes import Estimate
from chymist.instruments.quality import held_out_psnr, psnr, training_psnr
from chymist.instruments.ranks import effective_rank, feature_rank, training_rank
from chymist.instruments.sharpness import sharpness, training_sharpness
from chymist.instruments.snapshot import Instrument, Snapshot, loss
from chymist.instruments.tail_index import Tail, gradient_tail, tail_index
from chymist.instruments.trace import frobenius_norm, trace, training_trace

__all__ = [
    "Activity",
    "Alignment",
    "Clusters",
    "Covariance",
    "Density",
    "Eigenpairs",
    "Estimate",
    "Inertia",
    "Instrument",
    "Neurons",
    "NoiseAlignment",
    "NoiseScale",
    "NonUniformity",
    "Objective",
    "Operator",
    "PerSample",
    "Sampler",
    "Snapshot",
    "Tail",
    "activity",
    "area_under",
    "averaged_noise_scale",
    "band_error",
    "categorical",
    "clusters",
    "critical_batch",
    "dense",
    "directional_curvature",
    "effective_rank",
    "eigenpairs",
    "empirical_fisher",
    "empirical_ntk",
    "feature_rank",
    "features",
    "fourier_diagonal",
    "frobenius_norm",
    "gauss_newton",
    "gaussian",
    "gradient_alignment",
    "gradient_covariance",
    "gradient_norms",
    "gradient_tail",
    "gradient_variance",
    "held_out_psnr",
    "hessian",
    "inertia",
    "loss",
    "monte_carlo_fisher",
    "neurons",
    "noise_alignment",
    "noise_scale",
    "nonuniformity",
    "objective",
    "own_error",
    "preconditioned",
    "psnr",
    "radial_bands",
    "relative_drift",
    "residual_spectrum",
    "sampler",
    "sharpness",
    "spectral_density",
    "spectral_error",
    "spectral_peaks",
    "stacked_neurons",
    "tail_index",
    "time_to",
    "trace",
    "training_alignment",
    "training_condensation",
    "training_noise_scale",
    "training_psnr",
    "training_rank",
    "training_sharpness",
    "training_trace",
    "two_batch_noise_scale",
]
