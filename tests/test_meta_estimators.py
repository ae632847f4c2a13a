"""Ensembles and other meta-estimators."""

import numpy as np
import pytest
from helpers import MODEST
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier

from sknt import NTMSequenceRegressor


def test_voting_averages_the_probabilities(sequences, model):
    X, y = sequences
    other = clone(model).set_params(memory=None)
    voting = VotingClassifier([("ntm", model), ("lstm", other)], voting="soft").fit(X, y)
    expected = np.mean([m.predict_proba(X) for m in voting.estimators_], axis=0)
    assert_allclose(voting.predict_proba(X), expected)


def test_voting_and_stacking_regressors(values):
    X, y = values
    models = [
        ("ntm", NTMSequenceRegressor(**MODEST)),
        ("lstm", NTMSequenceRegressor(**{**MODEST, "memory": None})),
    ]
    assert VotingRegressor(models).fit(X, y).predict(X).shape == (60,)
    assert StackingRegressor(models, cv=2).fit(X, y).predict(X).shape == (60,)


def test_stacking(sequences, model):
    X, y = sequences
    stacking = StackingClassifier(
        [("ntm", model), ("lstm", clone(model).set_params(memory=None))],
        LogisticRegression(),
        cv=2,
    ).fit(X, y)
    assert stacking.score(X, y) > 0.5


@pytest.mark.parametrize("method", ["sigmoid", "temperature"])
def test_calibration(sequences, model, method):
    X, y = sequences
    calibrated = CalibratedClassifierCV(model, method=method, cv=2).fit(X, y)
    assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


def test_tuned_threshold(sequences, model):
    X, y = sequences
    tuned = TunedThresholdClassifierCV(model, scoring="balanced_accuracy", cv=2)
    assert set(tuned.fit(X, y).predict(X)) <= {"up", "down"}


def test_one_against_the_rest(sequences, model):
    X, _ = sequences
    y = np.digitize(X[:, 0, 0], [-0.5, 0.5])
    rest = OneVsRestClassifier(model).fit(X, y)
    assert len(rest.estimators_) == 3
    assert rest.predict(X).shape == y.shape


def test_several_outputs_of_several_classes(sequences, model):
    X, _ = sequences
    y = np.column_stack([X[:, 0, 0] > 0, np.digitize(X[:, 0, 1], [-0.5, 0.5])]).astype(int)
    several = MultiOutputClassifier(model).fit(X, y)
    assert several.predict(X).shape == y.shape


def test_boosting_without_absent_steps(model):
    X = np.random.RandomState(0).normal(size=(40, 3, 2))
    y = (X[:, 0, 0] > 0).astype(int)
    boosted = AdaBoostClassifier(model, n_estimators=2, random_state=0)
    assert boosted.fit(X, y).predict(X).shape == y.shape


def test_transformed_target(values):
    X, y = values
    model = NTMSequenceRegressor(**{**MODEST, "max_epochs": 30})
    regressor = TransformedTargetRegressor(model, func=np.sinh, inverse_func=np.arcsinh)
    y = y / 10
    assert regressor.fit(X, y).score(X, y) > 0.3
