"""Models and sequences for the tests of sessions."""

import itertools

import numpy as np
import torch
from helpers import small_classifier, small_regressor
from network_helpers import randomize

N_SEQUENCES, N_STEPS, N_FEATURES = 5, 11, 3


def make_sequences():
    """Sequences with absent steps everywhere; the last one begins late and pauses."""
    X = np.random.RandomState(0).normal(size=(N_SEQUENCES, N_STEPS, N_FEATURES))
    X[1, 8:] = np.nan
    X[2, [0, 4, 5]] = np.nan
    X[4, :3] = X[4, 6:9] = np.nan
    return X


X = make_sequences()


def fitted(make, y, X=X, **params):
    """A fitted model whose weights are far from their initial values."""
    torch.manual_seed(0)
    model = make(**{"max_epochs": 1, "n_convolutions": 0, **params}).fit(X, y)
    randomize(model.net_.module_)
    return model


def stepwise_model(**params):
    y = np.arange(N_SEQUENCES * N_STEPS).reshape(N_SEQUENCES, -1) % 3
    return fitted(small_classifier, y, **{"return_sequences": True, **params})


def sequence_model(**params):
    return fitted(small_classifier, [0, 1, 2, 0, 1], **params)


def value_model(y=None, **params):
    return fitted(small_regressor, np.arange(5.0) if y is None else y, **params)


def random_parts(random_state, n_steps=N_STEPS):
    """Slices that cover the steps in turn; some are empty."""
    rng = np.random.RandomState(random_state)
    stops = np.sort(rng.randint(n_steps + 1, size=rng.randint(1, 6)))
    stops = [0, *stops.tolist(), n_steps]
    return [slice(*pair) for pair in itertools.pairwise(stops)]


def assert_equal(model, actual, expected):
    """To the bit in the kernels; the reference path is in double precision."""
    tolerance = 0 if model.backend_ == "fused" else 1e-9
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)
