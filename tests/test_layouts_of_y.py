"""Layouts of y: labels, indicators and values, of sequences and of steps."""

import numpy as np
import pytest
import torch
from helpers import small_classifier, small_regressor, weights_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, r2_score

from sknt import unpad_sequences


def test_string_labels_come_back_as_they_are(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    assert_array_equal(model.classes_, ["down", "up"])
    assert set(model.predict(X)) <= {"down", "up"}
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (60, 2)
    assert_allclose(probabilities.sum(axis=1), 1)
    assert_array_equal(model.decision_function(X) > 0, model.predict(X) == "up")


def test_multiclass_integers(sequences):
    X, _ = sequences
    y = np.digitize(X[:, 0, 0], [-0.5, 0.5]) * 10
    model = small_classifier().fit(X, y)
    assert_array_equal(model.classes_, [0, 10, 20])
    assert model.decision_function(X).shape == (60, 3)
    assert model.predict(X).dtype == y.dtype
    assert model.score(X, y) == accuracy_score(y, model.predict(X))


def test_indicator_targets(sequences):
    X, _ = sequences
    y = (X[:, 0] > 0).astype(int)
    model = small_classifier(max_epochs=30, hidden_size=20).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.predict_proba(X).shape == y.shape
    assert model.score(X, y) == accuracy_score(y, model.predict(X))
    assert model.score(X, y) > 0.8


def test_a_label_for_each_step_is_padded_like_X(sequences):
    X, _ = sequences
    absent = np.isnan(X).all(axis=2)
    y = np.where(np.nan_to_num(X[..., 0]) > 0, "up", "down")
    model = small_classifier(return_sequences=True, max_epochs=15).fit(X, y)
    labels = model.predict(X)
    assert labels.shape == y.shape
    assert all(value != value for value in labels[absent])
    assert set(labels[~absent]) <= {"up", "down"}
    assert np.isnan(model.predict_proba(X)[absent]).all()
    assert model.score(X, y) == np.mean(labels[~absent] == y[~absent])
    assert model.score(X, y) > 0.8


def test_integer_labels_for_each_step_stay_integers_where_no_step_is_absent():
    X = np.random.RandomState(0).normal(size=(10, 4, 1))
    y = (X[..., 0] > 0).astype(int)
    model = small_classifier(return_sequences=True).fit(X, y)
    assert model.predict(X).dtype == y.dtype
    X[0, 3] = np.nan
    assert np.isnan(model.predict(X)[0, 3])
    marked = model.set_params(missing_target=-1).predict(X)
    assert marked.dtype == y.dtype
    assert marked[0, 3] == -1


def test_per_step_targets_as_lists(sequences):
    X, _ = sequences
    as_list = unpad_sequences(X)
    y_list = [(steps[:, 0] > 0).astype(int) for steps in as_list]
    y = np.where(np.isnan(X[..., 0]), np.nan, X[..., 0] > 0)
    from_list = small_classifier(return_sequences=True).fit(as_list, y_list)
    from_array = small_classifier(return_sequences=True).fit(X, y)
    assert torch.equal(weights_of(from_list), weights_of(from_array))
    assert from_list.score(as_list, y_list) == from_array.score(X, y)


@pytest.mark.parametrize("missing", [np.nan, -1.0])
def test_missing_targets_count_in_neither_fit_nor_score(missing):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(20, 5, 1))
    y = (X[..., 0] > 0).astype(float)
    hidden = rng.uniform(size=y.shape) < 0.4
    params = {"return_sequences": True, "missing_target": missing}
    y_hidden = np.where(hidden, missing, y)
    model = small_classifier(**params).fit(X, y_hidden)
    labels = model.predict(X)
    assert model.score(X, y_hidden) == np.mean(labels[~hidden] == y[~hidden])
    assert set(model.classes_) == {0, 1}


def test_samples_without_a_target_are_left_out(sequences):
    X, y = sequences
    y_number = (y == "up").astype(float)
    hidden = np.arange(60) % 3 == 0
    with_missing = small_classifier().fit(X, np.where(hidden, np.nan, y_number))
    without = small_classifier().fit(X[~hidden], y_number[~hidden])
    assert torch.equal(weights_of(with_missing), weights_of(without))


def test_several_values_are_each_standardised_separately(sequences):
    X, _ = sequences
    y = np.column_stack([X[:, 0, 0] * 1e-3, 1e4 + 1e3 * X[:, 0, 1]])
    model = small_regressor(hidden_size=20, max_epochs=40).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) == pytest.approx(r2_score(y, model.predict(X)))
    assert model.score(X, y) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("unit", [2.0**-700, 2.0**-30, 2.0**30, 2.0**600])
def test_values_of_any_size_keep_their_units(sequences, unit):
    X, _ = sequences
    y = X[:, 0, 0]
    model = small_regressor(max_epochs=15).fit(X, y * unit)
    assert r2_score(y, model.predict(X) / unit) > 0.5
    assert model.score(X, y * unit) > 0.5


@pytest.mark.parametrize("value", [0.0, 1e-9, -3.0, 1e12])
def test_a_constant_is_predicted_as_it_is(sequences, value):
    X, _ = sequences
    assert_array_equal(small_regressor().fit(X, np.full(60, value)).predict(X), value)


def test_integer_labels_in_lists_stay_integers(sequences):
    X, _ = sequences
    as_list = unpad_sequences(X)
    y = [2**53 + (steps[:, 0] > 0).astype(int) for steps in as_list]
    model = small_classifier(return_sequences=True).fit(as_list, y)
    assert_array_equal(model.classes_, [2**53, 2**53 + 1])


def test_a_value_for_each_step(sequences):
    X, _ = sequences
    y = 7 + 3 * X[..., 0]
    model = small_regressor(return_sequences=True, max_epochs=20).fit(X, y)
    predicted = model.predict(X)
    present = ~np.isnan(y)
    assert predicted.shape == y.shape
    assert_array_equal(np.isnan(predicted), ~present)
    expected = r2_score(y[present], predicted[present])
    assert model.score(X, y) == pytest.approx(expected)


def test_single_entries_of_a_step_may_be_missing():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(30, 4, 2))
    y = X * [2.0, 30.0]
    y[:, 1, 0] = np.nan
    model = small_regressor(return_sequences=True).fit(X, y)
    predicted = model.predict(X)
    valid = ~np.isnan(y)
    per_output = [
        r2_score(y[..., k][valid[..., k]], predicted[..., k][valid[..., k]])
        for k in range(2)
    ]
    assert model.score(X, y) == pytest.approx(np.mean(per_output))
