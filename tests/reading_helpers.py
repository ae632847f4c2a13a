"""Data and estimators for the tests of how X and y are read."""

import numpy as np
import pytest
from helpers import small_classifier, small_regressor

from sknt import pad_sequences
from sknt.preprocessing import StepwiseTransformer

nan = np.nan
N_SAMPLES = 12
LABELS = np.arange(N_SAMPLES) % 2

every_estimator = pytest.mark.parametrize("make", [small_classifier, small_regressor])
every_reader = pytest.mark.parametrize(
    "make", [small_classifier, small_regressor, StepwiseTransformer]
)
"""Estimators and the transformer of sequences, which read X alike."""


def numbers(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=(N_SAMPLES, *shape))


def outputs(model, X):
    """What a fitted estimator or transformer makes of X."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    if hasattr(model, "predict"):
        return model.predict(X)
    result = model.transform(X)
    return pad_sequences(result) if isinstance(result, list) else result


def frames(n_steps=4, names=("a", "b"), module="pandas", seed=0):
    """A list of frames, one for each sequence."""
    library = pytest.importorskip(module)
    make = library.table if module == "pyarrow" else library.DataFrame
    rng = np.random.RandomState(seed)
    return [
        make({name: rng.normal(size=n_steps) for name in names}) for _ in range(N_SAMPLES)
    ]


def columns_of(frame, names):
    """A frame of some of another's columns, in this order."""
    return frame[names] if hasattr(frame, "loc") else frame.select(names)
