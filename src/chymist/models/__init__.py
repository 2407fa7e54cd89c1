"""Networks that studies share: ordinary `torch.nn.Module`s that map (sample, feature) likewise."""

from chymist.models.activations import ACTIVATIONS, Activation, activation, multiplicity
from chymist.models.box import BoxAnsatz
from chymist.models.coordinate import (
    ENCODINGS,
    CoordinateMLP,
    Encoding,
    FourierFeatures,
    Siren,
    coordinate_network,
    coordinate_start,
    count_parameters,
    gaussian,
    gaussian_frequencies,
    gaussian_tangent_start,
    harmonics,
    matched_width,
    tangent_start,
)
from chymist.models.equation_losses import ritz, strong_residual
from chymist.models.jets import SLOPES, Jet, WithDerivatives, jet
from chymist.models.losses import (
    dropout_error,
    frozen_residual,
    penalised_error,
    residual_discrete,
    ritz_discrete,
    sobolev,
)
from chymist.models.mlp import MLP, fan_in_start, gaussian_start, normal_start
from chymist.models.multiscale import (
    Encoded,
    MultiScale,
    MultiScaleInput,
    geometric_scales,
    glorot_normal_start,
    stretched_start,
)
from chymist.models.tangent import TangentMLP
from chymist.models.transformer import Transformer, transformer_start
from chymist.models.two_layer import (
    Contributions,
    TwoLayer,
    antisymmetric_start,
    gaussian_circle_start,
    stratified_circle_start,
)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "BoxAnsatz",
    "Contributions",
    "CoordinateMLP",
    "ENCODINGS",
    "Encoding",
    "FourierFeatures",
    "MLP",
    "Siren",
    "TangentMLP",
    "Transformer",
    "TwoLayer",
    "activation",
    "antisymmetric_start",
    "coordinate_network",
    "coordinate_start",
    "count_parameters",
    "dropout_error",
    "frozen_residual",
    "fan_in_start",
    "gaussian",
    "gaussian_circle_start",
    "gaussian_start",
    "gaussian_tangent_start",
    "harmonics",
    "matched_width",
    "multiplicity",
    "normal_start",
    "penalised_error",
    "residual_discrete",
    "ritz_discrete",
    "sobolev",
    "stratified_circle_start",
    "tangent_start",
    "transformer_start",
    "ritz",
    "strong_residual",
    "SLOPES",
    "Jet",
    "WithDerivatives",
    "jet",
    "Encoded",
    "MultiScale",
    "MultiScaleInput",
    "geometric_scales",
    "glorot_normal_start",
    "stretched_start",
    "gaussian_frequencies",
]
