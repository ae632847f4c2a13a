"""Sequences long enough for random convolutions, and small estimators that use them."""

import numpy as np
import pytest

from sknt import NTMSequenceClassifier, NTMSequenceRegressor

BLENDED = {
    "memory_size": 6,
    "word_size": 4,
    "hidden_size": 8,
    "n_convolutions": 168,
    "max_epochs": 3,
    "learning_rate": 0.03,
    "random_state": 0,
}
SHARE = 0.4

ESTIMATORS = {"classifier": NTMSequenceClassifier, "regressor": NTMSequenceRegressor}
both = pytest.mark.parametrize("kind", ESTIMATORS)


def make_waves(n_samples=30, seed=0):
    """Noisy waves of 16 to 20 steps beside a level.

    Convolutions see at once whether a wave is fast, and the network how high the level is.
    """
    rng = np.random.RandomState(seed)
    steps = np.arange(20)
    X = rng.normal(size=(n_samples, 20, 2))
    level, is_fast = rng.normal(size=n_samples), rng.randint(2, size=n_samples)
    X[..., 0] += 2 * np.sin(np.outer(np.where(is_fast == 1, 2.0, 0.7), steps))
    X[..., 1] += level[:, np.newaxis]
    lengths = rng.randint(16, 21, size=n_samples)
    X[steps >= lengths[:, np.newaxis]] = np.nan
    return X, level + is_fast + 0.3 * rng.normal(size=n_samples)


def make_targets(kind, values):
    """The values themselves, or two classes of them."""
    return values if kind == "regressor" else np.where(values > 0.5, "high", "low")


def blended_estimator(kind, **params):
    return ESTIMATORS[kind](**{**BLENDED, **params})


def outputs_of(model, X):
    """What everything that a model predicts is computed from."""
    is_regressor = isinstance(model, NTMSequenceRegressor)
    return model.predict(X) if is_regressor else model.predict_proba(X)
