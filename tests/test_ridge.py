"""Ridge regression with predictions for rows left out, against scikit-learn's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import cross_val_score

from sknt.convolutions import ridge as module
from sknt.convolutions.ridge import N_FOLDS, PENALTIES, SMALL, fit_ridge


def make_rows(n_samples=30, n_features=50, seed=0):
    rng = np.random.RandomState(seed)
    features = rng.uniform(size=(n_samples, n_features)).astype(np.float32)
    features[:, 3] = 0.5  # constant
    targets = features[:, :2] * [3, -1] + 0.1 * rng.normal(size=(n_samples, 2))
    return features, targets.astype(np.float64), rng.uniform(0.5, 2, size=n_samples)


def standardised(features, weights):
    mean = np.average(features, axis=0, weights=weights)
    scale = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    return (features - mean) / np.hypot(scale, SMALL)


def sklearn_ridge(rows, targets, weights, penalty):
    return SklearnRidge(penalty, solver="cholesky").fit(rows, targets, weights)


def best_penalty(rows, targets, weights, predictions_left_out):
    unit = np.mean(weights * (rows**2).sum(axis=1))
    errors = [
        np.average(
            ((targets - predictions_left_out(p * unit)) ** 2).sum(axis=1), weights=weights
        )
        for p in PENALTIES
    ]
    return PENALTIES[int(np.argmin(errors))] * unit


@pytest.mark.parametrize("is_weighted", [False, True])
def test_each_row_is_predicted_by_a_regression_on_all_others(is_weighted):
    features, targets, weights = make_rows()
    weights = weights if is_weighted else np.ones(len(weights))
    rows = standardised(features, weights)

    def left_out(penalty):
        found = np.empty_like(targets)
        for i in range(len(rows)):
            rest = np.arange(len(rows)) != i
            fitted = sklearn_ridge(rows[rest], targets[rest], weights[rest], penalty)
            within = rows[i].clip(rows[rest].min(axis=0), rows[rest].max(axis=0))
            found[i] = fitted.predict(within[np.newaxis])[0]
        return found

    penalty = best_penalty(rows, targets, weights, left_out)
    assert PENALTIES[0] < penalty / np.mean(weights * (rows**2).sum(axis=1)) < PENALTIES[-1]
    ridge, predictions = fit_ridge(features, targets, weights)
    assert_allclose(predictions, left_out(penalty), atol=2e-3)
    exact = sklearn_ridge(rows, targets, weights, penalty)
    assert_allclose(ridge.predict(features), exact.predict(rows), atol=2e-3)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_many_rows_are_predicted_a_fold_at_a_time(monkeypatch, is_weighted):
    monkeypatch.setattr(module, "MAX_EXACT", 10)
    features, targets, weights = make_rows(200, 20)
    weights = weights if is_weighted else np.ones(len(weights))
    ridge, predictions = fit_ridge(features, targets, weights)
    errors = ((predictions - targets) ** 2).mean()
    # It is as good as scikit-learn's with the best of the penalties, and no leak.
    rows = standardised(features, weights)
    scores = [
        cross_val_score(
            SklearnRidge(p * 20),
            rows,
            targets,
            cv=N_FOLDS,
            scoring="neg_mean_squared_error",
        ).mean()
        for p in PENALTIES
    ]
    assert errors == pytest.approx(-max(scores), rel=0.15)
    assert ((ridge.predict(features) - targets) ** 2).mean() < errors


def test_rows_of_weight_2_count_as_two():
    features, targets, _ = make_rows()
    weights = np.where(np.arange(30) < 8, 2.0, 1.0)
    twice = np.r_[0:8, 0:30]
    weighted, _ = fit_ridge(features, targets, weights)
    repeated, _ = fit_ridge(features[twice], targets[twice], np.ones(38))
    # The penalty may differ: a repeated row is not left out. The mean may not.
    assert_allclose(
        weighted.predict(features).mean(axis=0),
        repeated.predict(features).mean(axis=0),
        atol=0.05,
    )


def test_targets_without_any_signal_are_predicted_by_their_mean():
    rng = np.random.RandomState(0)
    features = rng.uniform(size=(40, 300)).astype(np.float32)
    targets = rng.normal(size=(40, 1)) + 7
    _, predictions = fit_ridge(features, targets, np.ones(40))
    assert ((predictions - targets) ** 2).mean() > 0.8 * targets.var()
    constant, left_out = fit_ridge(features, np.full((40, 1), 3.0), np.ones(40))
    assert_allclose(left_out, 3)
    assert_allclose(constant.predict(features), 3)


def test_constant_features_have_no_influence():
    features, targets, weights = make_rows()
    ridge, _ = fit_ridge(features, targets, weights)
    assert_allclose(ridge.coefficients[3], 0, atol=1e-12)
    changed = features.copy()
    changed[:, 3] = 9
    assert_allclose(ridge.predict(changed), ridge.predict(features))


def test_features_beyond_the_range_of_training_are_not_extrapolated():
    features, targets, weights = make_rows()
    ridge, left_out = fit_ridge(features, targets, weights)
    far = features[:5].copy()
    far[:, 0], at_the_end = 100, features[:5].copy()
    at_the_end[:, 0] = features[:, 0].max()
    assert_allclose(ridge.predict(far), ridge.predict(at_the_end))
    # A row with a feature far from those of the others is predicted likewise.
    features[7, 0], features[7, 5] = 100, -100
    assert np.abs(fit_ridge(features, targets, weights)[1][7] - left_out[7]).max() < 3


def test_of_many_rows_those_left_out_are_not_extrapolated_either(monkeypatch):
    monkeypatch.setattr(module, "MAX_EXACT", 10)
    features, targets, weights = make_rows(200, 20)
    rows = standardised(features, weights)
    _, predictions = fit_ridge(features, targets, weights)
    for k in range(N_FOLDS):
        own = np.arange(len(rows)) % N_FOLDS == k
        others = rows[~own]
        within = rows[own].clip(others.min(axis=0), others.max(axis=0))
        fits = [
            SklearnRidge(p * np.mean(weights * (rows**2).sum(axis=1)))
            .fit(others, targets[~own], weights[~own])
            .predict(within)
            for p in PENALTIES
        ]
        nearest = min(np.abs(fit - predictions[own]).max() for fit in fits)
        assert nearest < 0.02  # the fold's own intercept differs a little
