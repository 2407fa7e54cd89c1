"""The doctor: instruments on the user's own training, and findings that cite their study."""

from chymist.doctor.before_training import preflight
from chymist.doctor.checkup import Checkup
from chymist.doctor.during_training import Watch, watch
from chymist.doctor.finding import Finding

__all__ = ["Checkup", "Finding", "Watch", "preflight", "watch"]
