"""skorch callbacks for training on sequences, to be given in ``net_params``."""

from sknt.training.curriculum import LengthCurriculum
from sknt.training.interrupts import TrainingStopped
from sknt.training.pruning import OptunaPruning

__all__ = ["LengthCurriculum", "OptunaPruning", "TrainingStopped"]
