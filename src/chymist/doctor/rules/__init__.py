"""The doctor's rules, one diagnosis a file."""

from chymist.doctor.rule import Rule
from chymist.doctor.rules.alignment import ALIGNMENT
from chymist.doctor.rules.beyond_edge import BEYOND_EDGE
from chymist.doctor.rules.clipped import CLIPPED
from chymist.doctor.rules.condensed import CONDENSED
from chymist.doctor.rules.divergence import DIVERGENCE
from chymist.doctor.rules.dying_units import DYING_UNITS
from chymist.doctor.rules.frozen_softmax import FROZEN_SOFTMAX
from chymist.doctor.rules.high_frequency import HIGH_FREQUENCY
from chymist.doctor.rules.large_updates import LARGE_UPDATES
from chymist.doctor.rules.loss_course import LOSS_COURSE
from chymist.doctor.rules.lost_rank import LOST_RANK
from chymist.doctor.rules.margin_growth import MARGIN_GROWTH
from chymist.doctor.rules.noise_and_batch import NOISE_AND_BATCH
from chymist.doctor.rules.regime import REGIME
from chymist.doctor.rules.signal_drift import SIGNAL_DRIFT
from chymist.doctor.rules.small_step import SMALL_STEP
from chymist.doctor.rules.step_size import STEP_SIZE
from chymist.doctor.rules.unmoved import UNMOVED

RULES: tuple[Rule, ...] = (
    FROZEN_SOFTMAX, STEP_SIZE, DIVERGENCE, BEYOND_EDGE, UNMOVED, DYING_UNITS, HIGH_FREQUENCY,
    CLIPPED, SMALL_STEP, LARGE_UPDATES, LOST_RANK, SIGNAL_DRIFT, LOSS_COURSE, CONDENSED, REGIME,
    MARGIN_GROWTH, NOISE_AND_BATCH, ALIGNMENT,
)  # fmt: skip
