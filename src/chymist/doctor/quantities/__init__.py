"""What the doctor measures, one concept a file. The order is that in which they are measured."""

from chymist.doctor.quantities.attention import ATTENTION
from chymist.doctor.quantities.objective import OBJECTIVE
from chymist.doctor.quantities.reach import REACHED
from chymist.doctor.quantities.signals import SIGNALS
from chymist.doctor.quantities.soundness import SOUNDNESS
from chymist.doctor.quantities.stability import STABILITY
from chymist.doctor.quantities.trial import TRIAL
from chymist.doctor.quantities.units import ACTIVITY, TWINS
from chymist.doctor.quantity import Quantity

QUANTITIES: tuple[Quantity, ...] = (
    SOUNDNESS, OBJECTIVE, SIGNALS, ACTIVITY, TWINS, ATTENTION, STABILITY, TRIAL, REACHED,
)  # fmt: skip
