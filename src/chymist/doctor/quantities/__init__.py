"""What the doctor measures, one concept a file. The order is that in which they are measured."""

from chymist.doctor.quantities.activity_now import ACTIVITY_NOW
from chymist.doctor.quantities.attention import ATTENTION
from chymist.doctor.quantities.curvature import CURVATURE
from chymist.doctor.quantities.directions import DIRECTIONS
from chymist.doctor.quantities.division import DIVISION
from chymist.doctor.quantities.drift import DRIFT, KERNEL
from chymist.doctor.quantities.frequencies import FREQUENCIES
from chymist.doctor.quantities.gradients import GRADIENTS
from chymist.doctor.quantities.margins import MARGINS
from chymist.doctor.quantities.noise import NOISE
from chymist.doctor.quantities.objective import OBJECTIVE
from chymist.doctor.quantities.passage import PASSAGE
from chymist.doctor.quantities.reach import REACHED
from chymist.doctor.quantities.signals import SIGNALS
from chymist.doctor.quantities.soundness import SOUNDNESS
from chymist.doctor.quantities.stability import STABILITY
from chymist.doctor.quantities.trial import TRIAL
from chymist.doctor.quantities.units import ACTIVITY, TWINS
from chymist.doctor.quantities.updates import UPDATES
from chymist.doctor.quantity import Quantity

QUANTITIES: tuple[Quantity, ...] = (
    SOUNDNESS, OBJECTIVE, SIGNALS, ACTIVITY, TWINS, ATTENTION, DIVISION, STABILITY, TRIAL, REACHED,
    GRADIENTS, UPDATES, DRIFT, ACTIVITY_NOW, MARGINS, PASSAGE, DIRECTIONS, FREQUENCIES, NOISE,
    CURVATURE, KERNEL,
)  # fmt: skip
