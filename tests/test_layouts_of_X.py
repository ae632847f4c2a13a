"""Layouts of X: arrays, lists, frames, and absent steps anywhere."""

import numpy as np
import torch
from helpers import small_classifier, weights_of
from numpy.testing import assert_allclose, assert_array_equal

from sknt import unpad_sequences
from sknt.datasets import make_copy


def test_absent_steps_change_nothing_wherever_they_are(sequences):
    X, y = sequences
    rng = np.random.RandomState(1)
    spread = np.full((len(X), 15, 2), np.nan)
    for row, steps in zip(spread, unpad_sequences(X), strict=True):
        places = np.sort(rng.choice(15, size=len(steps), replace=False))
        row[places] = steps
    model = small_classifier().fit(X, y)
    assert_allclose(model.predict_proba(spread), model.predict_proba(X), atol=1e-6)
    # The fit itself is the same, too.
    again = small_classifier().fit(spread, y)
    assert torch.equal(weights_of(again), weights_of(model))


def test_a_prediction_does_not_depend_on_the_rest_of_the_batch(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    together = model.decision_function(X)
    alone = [model.decision_function(X[i : i + 1])[0] for i in range(len(X))]
    assert_allclose(together, alone, rtol=0, atol=1e-12)


def test_lists_arrays_and_data_frames_of_the_same_sequences_are_the_same(sequences):
    import pandas as pd

    X, y = sequences
    as_list = unpad_sequences(X)
    model = small_classifier().fit(as_list, y)
    assert_array_equal(model.predict(X), model.predict(as_list))
    frames = [pd.DataFrame(steps) for steps in as_list]
    assert_array_equal(model.predict(frames), model.predict(as_list))
    objects = np.empty(len(as_list), dtype=object)
    objects[:] = as_list
    assert_array_equal(model.predict(objects), model.predict(as_list))


def test_two_dimensions_are_univariate_sequences(sequences):
    X, y = sequences
    model = small_classifier().fit(X[..., :1], y)
    table = small_classifier().fit(X[..., 0], y)
    assert torch.equal(weights_of(model), weights_of(table))
    assert model.n_features_in_ == 1
    assert table.n_features_in_ == 6


def test_sequences_may_be_longer_or_shorter_than_in_fit(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    longer = np.random.RandomState(0).normal(size=(3, 40, 2))
    assert model.predict(longer).shape == (3,)
    assert model.predict(longer[:, :1]).shape == (3,)
    assert model.predict([longer[0], longer[1, :2]]).shape == (2,)


def test_entries_of_y_at_absent_steps_are_ignored():
    X, y = make_copy(n_samples=20, n_bits=2, max_length=3, random_state=0)
    X[3, -2:] = np.nan
    absent = np.isnan(X).all(axis=2)
    y_other = y.copy()
    y_other[absent] = 1 - np.random.RandomState(0).randint(0, 2, size=(absent.sum(), 2))
    model = small_classifier(return_sequences=True).fit(X, y)
    other = small_classifier(return_sequences=True).fit(X, y_other)
    assert torch.equal(weights_of(model), weights_of(other))
    assert model.score(X, y) == model.score(X, y_other)


def test_the_lengths_in_a_stream_of_lists_may_change():
    model = small_classifier()
    model.partial_fit([[1.0, 2.0, 3.0]], [0], classes=[0, 1])
    model.partial_fit([[1.0, 2.0]], [1])
    assert model.predict([[1.0, 2.0, 3.0, 4.0]]).shape == (1,)
