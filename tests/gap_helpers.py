"""Sequences with absent steps, for the tests of the transformers."""

import numpy as np

nan = np.nan


def sequences_with_gaps(seed=0):
    """Six sequences of five steps of three features, absent before, inside, after."""
    X = np.random.RandomState(seed).normal(size=(6, 5, 3)) * [1, 5, 30] + [0, 2, -9]
    X[0, 3:] = nan
    X[1, :2] = nan
    X[2, [1, 3]] = nan
    X[3, [0, 2, 4]] = nan
    return X


def is_absent(step):
    return all(np.isnan(value) for value in np.atleast_1d(step))


def present_steps(X):
    return np.array([step for sample in X for step in sample if not is_absent(step)])
