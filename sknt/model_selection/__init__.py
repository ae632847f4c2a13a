"""Searches for parameters that scikit-learn does not have."""

from sknt.model_selection._halving import EpochHalvingSearchCV

__all__ = ["EpochHalvingSearchCV"]
