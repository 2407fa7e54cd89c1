"""Instruments: measurements of (model, parameters, data), for all lanes at once.

An instrument may not import `chymist.theory`: a measurement must not know what it ought to find.
"""

from chymist.instruments.activation_regions import lipschitz_exact
from chymist.instruments.activity import Activity, activity
from chymist.instruments.alone import alone
from chymist.instruments.barriers import Barrier, loss_barrier
from chymist.instruments.condensation import (
    Clusters,
    Neurons,
    clusters,
    neurons,
    stacked_neurons,
    training_amplitudes,
    training_condensation,
    training_directions,
)
from chymist.instruments.coordinates import CoordinateCheck, coordinate_check
from chymist.instruments.crossings import RateSlope, decay_rate, first_crossing, rate_slope
from chymist.instruments.density import Density, spectral_density, training_density
from chymist.instruments.directions import (
    Alignment,
    directional_curvature,
    gradient_alignment,
    training_alignment,
)
from chymist.instruments.distance import relative_distance
from chymist.instruments.drift import relative_drift
from chymist.instruments.eigenpairs import Eigenpairs, eigenpairs
from chymist.instruments.filter_error import FilterError, filter_error, training_filter_error
from chymist.instruments.fisher import categorical, empirical_fisher, gaussian, monte_carlo_fisher
from chymist.instruments.frequency import (
    band_error,
    own_error,
    radial_bands,
    residual_spectrum,
    spectral_error,
    spectral_peaks,
)
from chymist.instruments.frequency_error import (
    FrequencyError,
    frequency_error,
    training_frequency_error,
)
from chymist.instruments.gauss_newton import gauss_newton
from chymist.instruments.gradient_noise import (
    Covariance,
    gradient_covariance,
    gradient_norms,
    gradient_variance,
)
from chymist.instruments.graph_filter import (
    choose_widths,
    graph_lowpass,
    high_share,
    low_passed,
    neighbour_distance,
)
from chymist.instruments.hessian import hessian
from chymist.instruments.homogeneity import Homogeneity, homogeneity, training_homogeneity
from chymist.instruments.inertia import Inertia, inertia
from chymist.instruments.kernel_alignment import KernelDrift, kernel_alignment, kernel_drift
from chymist.instruments.kernel_spectrum import KernelSpectrum, kernel_spectrum
from chymist.instruments.kernel_training import predicted_residuals
from chymist.instruments.kernels import conjugate_kernel, empirical_ntk, fourier_diagonal, ntk
from chymist.instruments.layer_norms import LayerNorms, layer_norms, training_norms
from chymist.instruments.layer_outputs import features
from chymist.instruments.learning import area_under, plateaus, time_to
from chymist.instruments.lipschitz import (
    jacobian_norms,
    lipschitz_lower,
    lipschitz_upper,
    training_lipschitz,
)
from chymist.instruments.margin_norms import MarginNorms, margin_norms
from chymist.instruments.margins import margins, normalised_margin, training_margin
from chymist.instruments.matching import Matching, weight_matching
from chymist.instruments.max_margin import (
    Stationarity,
    max_margin_stationarity,
    training_stationarity,
)
from chymist.instruments.moments import Moments, second_moments, training_moments
from chymist.instruments.noise_alignment import (
    NoiseAlignment,
    NonUniformity,
    kernel_nonuniformity,
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
from chymist.instruments.nudft import nudft
from chymist.instruments.objective import Objective
from chymist.instruments.one_network import objective
from chymist.instruments.operators import Operator, dense, preconditioned
from chymist.instruments.outliers import Outliers, hessian_outliers, outliers
from chymist.instruments.outputs import training_outputs
from chymist.instruments.path_norms import barron_norm, path_norm, training_path_norm
from chymist.instruments.per_sample import PerSample, Sampler, sampler
from chymist.instruments.preconditioned_sharpness import training_preconditioned_sharpness
from chymist.instruments.probes import Estimate
from chymist.instruments.projection import principal_direction, random_direction
from chymist.instruments.quality import held_out_psnr, psnr, training_psnr
from chymist.instruments.ranks import effective_rank, feature_rank, training_rank
from chymist.instruments.saturation import Saturation, attention_saturation, softmax_saturation
from chymist.instruments.segmentation import SegmentationScores, segmentation_scores
from chymist.instruments.sharpness import sharpness, training_sharpness
from chymist.instruments.similarity import (
    Similarity,
    TokenSimilarity,
    sample_similarity,
    token_similarity,
    training_similarity,
    training_token_similarity,
)
from chymist.instruments.sine_modes import dst_modes, sine_error
from chymist.instruments.singular_values import (
    Singular,
    jacobian_singular_values,
    training_jacobian,
)
from chymist.instruments.slices import Slice, loss_slice, training_slice
from chymist.instruments.snapshot import Instrument, Snapshot, SolverState, loss
from chymist.instruments.tail_index import Tail, gradient_tail, tail_index
from chymist.instruments.trace import frobenius_norm, trace, training_trace
from chymist.instruments.training_kernels import (
    training_kernel_alignment,
    training_kernel_drift,
    training_kernel_spectrum,
)
from chymist.instruments.updates import stacked_update_ratio, training_update_ratio, update_ratio
from chymist.instruments.walsh import (
    cube,
    degree_spectrum,
    training_walsh,
    walsh_degrees,
    walsh_transform,
)
from chymist.instruments.weights import training_weights

__all__ = [
    "SegmentationScores",
    "segmentation_scores",
    "Activity",
    "Alignment",
    "Barrier",
    "Clusters",
    "CoordinateCheck",
    "Covariance",
    "Density",
    "Eigenpairs",
    "Estimate",
    "FilterError",
    "FrequencyError",
    "Homogeneity",
    "Inertia",
    "Instrument",
    "KernelDrift",
    "KernelSpectrum",
    "LayerNorms",
    "MarginNorms",
    "Matching",
    "Moments",
    "Neurons",
    "NoiseAlignment",
    "NoiseScale",
    "NonUniformity",
    "Objective",
    "Operator",
    "Outliers",
    "PerSample",
    "RateSlope",
    "Sampler",
    "Saturation",
    "Similarity",
    "Singular",
    "Slice",
    "Snapshot",
    "SolverState",
    "Stationarity",
    "Tail",
    "TokenSimilarity",
    "activity",
    "alone",
    "area_under",
    "attention_saturation",
    "averaged_noise_scale",
    "band_error",
    "barron_norm",
    "categorical",
    "choose_widths",
    "clusters",
    "conjugate_kernel",
    "coordinate_check",
    "critical_batch",
    "cube",
    "decay_rate",
    "degree_spectrum",
    "dense",
    "dst_modes",
    "directional_curvature",
    "effective_rank",
    "eigenpairs",
    "empirical_fisher",
    "empirical_ntk",
    "feature_rank",
    "features",
    "filter_error",
    "first_crossing",
    "fourier_diagonal",
    "frequency_error",
    "frobenius_norm",
    "gauss_newton",
    "gaussian",
    "gradient_alignment",
    "gradient_covariance",
    "gradient_norms",
    "gradient_tail",
    "gradient_variance",
    "graph_lowpass",
    "held_out_psnr",
    "hessian",
    "hessian_outliers",
    "high_share",
    "homogeneity",
    "inertia",
    "jacobian_norms",
    "jacobian_singular_values",
    "kernel_alignment",
    "kernel_drift",
    "kernel_nonuniformity",
    "kernel_spectrum",
    "layer_norms",
    "lipschitz_exact",
    "lipschitz_lower",
    "lipschitz_upper",
    "loss",
    "loss_barrier",
    "loss_slice",
    "low_passed",
    "margin_norms",
    "margins",
    "max_margin_stationarity",
    "monte_carlo_fisher",
    "neighbour_distance",
    "neurons",
    "noise_alignment",
    "noise_scale",
    "nonuniformity",
    "normalised_margin",
    "ntk",
    "nudft",
    "objective",
    "outliers",
    "own_error",
    "path_norm",
    "plateaus",
    "preconditioned",
    "predicted_residuals",
    "principal_direction",
    "psnr",
    "radial_bands",
    "random_direction",
    "rate_slope",
    "relative_distance",
    "relative_drift",
    "residual_spectrum",
    "sample_similarity",
    "sampler",
    "second_moments",
    "sharpness",
    "sine_error",
    "softmax_saturation",
    "spectral_density",
    "spectral_error",
    "spectral_peaks",
    "stacked_neurons",
    "stacked_update_ratio",
    "tail_index",
    "time_to",
    "token_similarity",
    "trace",
    "training_alignment",
    "training_amplitudes",
    "training_condensation",
    "training_density",
    "training_filter_error",
    "training_frequency_error",
    "training_directions",
    "training_homogeneity",
    "training_jacobian",
    "training_kernel_alignment",
    "training_kernel_drift",
    "training_kernel_spectrum",
    "training_lipschitz",
    "training_margin",
    "training_moments",
    "training_noise_scale",
    "training_norms",
    "training_outputs",
    "training_path_norm",
    "training_preconditioned_sharpness",
    "training_psnr",
    "training_rank",
    "training_sharpness",
    "training_similarity",
    "training_slice",
    "training_stationarity",
    "training_token_similarity",
    "training_trace",
    "training_update_ratio",
    "training_walsh",
    "training_weights",
    "two_batch_noise_scale",
    "update_ratio",
    "walsh_degrees",
    "walsh_transform",
    "weight_matching",
]
