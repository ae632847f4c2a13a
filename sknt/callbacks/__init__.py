"""What happens around the batches and epochs of a fit, as skorch callbacks."""

from sknt.callbacks._curriculum import LengthCurriculum
from sknt.callbacks._epochs import EpochProgress, ScikitLearnCallbacks, ValidationScore
from sknt.callbacks._guard import TrainingGuard
from sknt.callbacks._schedule import Consolidation, Schedule

__all__ = [
    "Consolidation",
    "EpochProgress",
    "LengthCurriculum",
    "Schedule",
    "ScikitLearnCallbacks",
    "TrainingGuard",
    "ValidationScore",
]
