"""What the doctor measures, one concept a file. The order is that in which they are measured."""

from chymist.doctor.quantities.attention import ATTENTION
from chymist.doctor.quantities.curvature import CURVATURE
from chymist.doctor.quantities.gradients import GRADIENTS
from chymist.doctor.quantities.objective import OBJECTIVE
from chymist.doctor.quantities.signals import SIGNALS
from chymist.doctor.quantities.soundness import SOUNDNESS
from chymist.doctor.quantities.stability import STABILITY
from chymist.doctor.quantities.units import ACTIVITY, TWINS
from chymist.doctor.quantities.updates import UPDATES
from chymist.doctor.quantity import Quantity

QUANTITIES: tuple[Quantity, ...] = (
    SOUNDNESS, OBJECTIVE, SIGNALS, ACTIVITY, TWINS, ATTENTION, STABILITY,
    GRADIENTS, UPDATES, CURVATURE,
)  # fmt: skip
