"""What the doctor measures, one concept a file. The order is that in which they are measured."""

from chymist.doctor.quantities.attention import ATTENTION
from chymist.doctor.quantities.stability import STABILITY
from chymist.doctor.quantity import Quantity

QUANTITIES: tuple[Quantity, ...] = (ATTENTION, STABILITY)
