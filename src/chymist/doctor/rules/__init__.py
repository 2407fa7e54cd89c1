"""The doctor's rules, one diagnosis a file."""

from chymist.doctor.rule import Rule
from chymist.doctor.rules.divergence import DIVERGENCE
from chymist.doctor.rules.frozen_softmax import FROZEN_SOFTMAX
from chymist.doctor.rules.step_size import STEP_SIZE

RULES: tuple[Rule, ...] = (FROZEN_SOFTMAX, STEP_SIZE, DIVERGENCE)
