"""The doctor's rules, one diagnosis a file."""

from chymist.doctor.rule import Rule
from chymist.doctor.rules.alignment import ALIGNMENT
from chymist.doctor.rules.batch_norm import BATCH_NORM
from chymist.doctor.rules.beyond_edge import BEYOND_EDGE
from chymist.doctor.rules.clipped import CLIPPED
from chymist.doctor.rules.condensed import CONDENSED
from chymist.doctor.rules.data_scale import INPUT_SCALE, TARGET_SCALE
from chymist.doctor.rules.depth import (
    EXPLODING_GRADIENT,
    EXPLODING_SIGNAL,
    RESIDUAL_GROWTH,
    VANISHING_GRADIENT,
)
from chymist.doctor.rules.divergence import DIVERGENCE
from chymist.doctor.rules.dying_units import DYING_UNITS
from chymist.doctor.rules.frozen_softmax import FROZEN_SOFTMAX
from chymist.doctor.rules.high_frequency import HIGH_FREQUENCY
from chymist.doctor.rules.idle_units import DEAD_UNITS, SATURATED_UNITS
from chymist.doctor.rules.initial_scale import LARGE_INIT, SMALL_INIT
from chymist.doctor.rules.large_updates import LARGE_UPDATES
from chymist.doctor.rules.loss_at_init import LOSS_AT_INIT
from chymist.doctor.rules.loss_course import LOSS_COURSE
from chymist.doctor.rules.lost_rank import LOST_RANK
from chymist.doctor.rules.margin_growth import MARGIN_GROWTH
from chymist.doctor.rules.no_gradient import NO_GRADIENT
from chymist.doctor.rules.noise_and_batch import NOISE_AND_BATCH
from chymist.doctor.rules.non_finite import NON_FINITE
from chymist.doctor.rules.not_optimised import NOT_OPTIMISED
from chymist.doctor.rules.rank_collapse import RANK_COLLAPSE
from chymist.doctor.rules.regime import REGIME
from chymist.doctor.rules.shape_mismatch import SHAPE_MISMATCH
from chymist.doctor.rules.signal_drift import SIGNAL_DRIFT
from chymist.doctor.rules.slow_descent import SLOW_DESCENT
from chymist.doctor.rules.small_step import SMALL_STEP
from chymist.doctor.rules.softmax_twice import SOFTMAX_TWICE
from chymist.doctor.rules.step_size import STEP_SIZE
from chymist.doctor.rules.symmetric_neurons import SYMMETRIC_NEURONS
from chymist.doctor.rules.unlearnt_frequency import UNLEARNT_FREQUENCY
from chymist.doctor.rules.unmoved import UNMOVED
from chymist.doctor.rules.unstable_steps import UNSTABLE_STEPS
from chymist.doctor.rules.weight_decay import WEIGHT_DECAY

RULES: tuple[Rule, ...] = (
    NON_FINITE, SHAPE_MISMATCH, SOFTMAX_TWICE, BATCH_NORM, NOT_OPTIMISED, SYMMETRIC_NEURONS,
    INPUT_SCALE, TARGET_SCALE, SMALL_INIT, LARGE_INIT, FROZEN_SOFTMAX, RESIDUAL_GROWTH,
    EXPLODING_SIGNAL, EXPLODING_GRADIENT, VANISHING_GRADIENT, DEAD_UNITS, SATURATED_UNITS,
    NO_GRADIENT, LOSS_AT_INIT, STEP_SIZE, WEIGHT_DECAY, RANK_COLLAPSE, HIGH_FREQUENCY, SMALL_STEP,
    DIVERGENCE, BEYOND_EDGE, UNSTABLE_STEPS, UNMOVED, DYING_UNITS, UNLEARNT_FREQUENCY, CLIPPED,
    SLOW_DESCENT, LARGE_UPDATES, LOST_RANK, SIGNAL_DRIFT, LOSS_COURSE, CONDENSED, REGIME,
    MARGIN_GROWTH, NOISE_AND_BATCH, ALIGNMENT,
)  # fmt: skip
"""Causes before what follows from them."""
