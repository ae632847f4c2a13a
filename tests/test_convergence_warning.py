"""A training that ends no better than guessing says so."""

import re
import warnings

import numpy as np
import pytest
from blend_helpers import blended_estimator, both, make_targets, make_waves
from helpers import SMALL, small_classifier, small_regressor
from sklearn.exceptions import ConvergenceWarning

from sknt import NTMSequenceClassifier, NTMSequenceRegressor, _base

Estimators = pytest.mark.parametrize(
    "Estimator", [NTMSequenceClassifier, NTMSequenceRegressor]
)
BAD = SMALL | {"learning_rate": 1e-9, "n_convolutions": 0, "batch_size": 30}
"""Nothing is learned at such a rate, whatever there is to learn."""


@pytest.fixture
def after_20(monkeypatch):
    """Take a fifteenth of the updates for a long fit."""
    monkeypatch.setattr(_base, "ENOUGH_UPDATES", 20)


def make_data(Estimator, n_samples=30):
    X = np.random.RandomState(0).normal(size=(n_samples, 4, 1))
    y = np.random.RandomState(1).permutation(n_samples)  # noise
    return X, y % 2 if Estimator is NTMSequenceClassifier else y.astype(float)


def warnings_of(model, *args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*args, **kwargs)
    assert all(issubclass(w.category, ConvergenceWarning) for w in caught)
    return caught


@Estimators
@pytest.mark.parametrize("n_updates", [20, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_a_long_fit_that_learns_nothing_warns(
    Estimator, return_sequences, n_updates, monkeypatch
):
    if n_updates < 300:
        monkeypatch.setattr(_base, "ENOUGH_UPDATES", n_updates)
    X, y = make_data(Estimator, 8)
    if return_sequences:
        y = np.repeat(y[:, np.newaxis], 4, axis=1)
    params = BAD | {"return_sequences": return_sequences, "schedule": "constant"}
    (caught,) = warnings_of(Estimator(**params | {"max_epochs": n_updates}), X, y)
    message = str(caught.message)
    assert f"no better than guessing: after {n_updates} updates" in message
    assert int(re.search(r"the loss is (\d+)% of that of guessing", message)[1]) >= 97
    for advice in ("learning_rate", "max_epochs", "standardize=True", "same order"):
        assert advice in message
    assert caught.filename == __file__  # it points to the call of fit


@Estimators
def test_a_short_one_says_nothing(Estimator, after_20):
    X, y = make_data(Estimator)
    model = Estimator(**BAD | {"max_epochs": 19}, warm_start=True)
    assert not warnings_of(model, X, y)  # 19 updates
    (caught,) = warnings_of(model, X, y)
    assert "after 38 updates" in str(caught.message)


@Estimators
def test_partial_fit_says_nothing(Estimator, after_20):
    X, y = make_data(Estimator, 60)
    announced = {"classes": [0, 1]} if Estimator is NTMSequenceClassifier else {}
    model = Estimator(**BAD)
    for _ in range(12):
        model.partial_fit(X, y, **announced)
        announced = {}
    assert model.net_.progress_.n_updates == 24


@Estimators
def test_a_good_fit_says_nothing(Estimator, after_20):
    X, _ = make_data(Estimator)
    y = X[:, 0, 0] if Estimator is NTMSequenceRegressor else (X[:, 0, 0] > 0).astype(int)
    model = Estimator(**BAD | {"max_epochs": 25, "learning_rate": 0.03})
    assert not warnings_of(model, X, y)
    assert model.net_.progress_.mean_loss < 0.9


@Estimators
def test_what_is_always_the_same_says_nothing(Estimator, after_20):
    X, _ = make_data(Estimator)
    y = np.zeros(30, int)
    announced = {"classes": [0, 1]} if Estimator is NTMSequenceClassifier else {}
    assert not warnings_of(Estimator(**BAD | {"max_epochs": 25}), X, y, **announced)


@both
def test_a_good_regression_beside_a_useless_network_says_nothing(
    kind, after_20, monkeypatch
):
    X, values = make_waves()
    y = make_targets(kind, values)
    params = {"learning_rate": 1e-9, "batch_size": 90, "max_epochs": 30}
    model = blended_estimator(kind, **params)
    assert not warnings_of(model, X, y)
    assert model.net_.progress_.n_updates >= 20
    assert model.net_.progress_.mean_loss > 0.97
    # It is the regression that keeps it quiet.
    monkeypatch.setattr(_base, "NO_BETTER", 0.1)
    assert len(warnings_of(model, X, y)) == 1


@both
def test_a_useless_regression_beside_a_useless_network_warns(kind, after_20):
    X = np.random.RandomState(0).normal(size=(90, 18, 1))
    y = make_targets(kind, np.random.RandomState(1).permutation(90) / 90)
    params = {"learning_rate": 1e-9, "batch_size": 90, "max_epochs": 30, "random_state": 1}
    (caught,) = warnings_of(blended_estimator(kind, **params), X, y)
    assert "no better than guessing" in str(caught.message)


@both
def test_a_network_that_has_learned_noise_by_heart_does_not_keep_it_quiet(kind, after_20):
    X = np.random.RandomState(0).normal(size=(40, 18, 1))
    y = make_targets(kind, np.random.RandomState(1).permutation(40) / 40)
    model = blended_estimator(kind, hidden_size=40, max_epochs=60, random_state=1)
    (caught,) = warnings_of(model, X, y)
    assert model.net_.progress_.mean_loss < 0.8
    assert "the loss on sequences left out is" in str(caught.message)


def test_a_warning_made_an_error_leaves_the_estimator_as_it_was(after_20):
    X, y = make_data(NTMSequenceRegressor)
    model = small_regressor().fit(X, y)
    before = model.predict(X)
    with pytest.raises(ConvergenceWarning):  # the tests turn warnings into errors
        model.set_params(**BAD | {"max_epochs": 25}).fit(X, y)
    assert (model.predict(X) == before).all()
    assert model.n_iter_ == 3


def shown_of_guessing(shown):
    return [float(part) for part in re.findall(r"of guessing=([\d.]+)%", shown)]


@Estimators
def test_verbose_shows_the_loss_as_a_percentage_of_guessing(Estimator, capsys):
    X, y = make_data(Estimator)
    model = Estimator(**BAD | {"max_epochs": 20, "verbose": 1}).fit(X, y)
    shown = capsys.readouterr().err
    mean = model.net_.progress_.mean_loss
    assert shown_of_guessing(shown)[-1] == pytest.approx(100 * mean, abs=0.06)
    # Nothing changes, so that each epoch's loss is the same.
    loss = model.history_[-1]["train_loss"]
    guessing = np.log(2) if Estimator is NTMSequenceClassifier else 1.0
    assert mean == pytest.approx(loss / guessing, rel=0.02)
    assert f"loss={loss:.4g}" in shown


def test_what_is_learned_falls_below_guessing(capsys):
    X, _ = make_data(NTMSequenceClassifier)
    params = {"max_epochs": 15, "verbose": 1, "learning_rate": 0.03}
    small_classifier(**params).fit(X, (X[:, 0, 0] > 0).astype(int))
    assert shown_of_guessing(capsys.readouterr().err)[-1] < 60
