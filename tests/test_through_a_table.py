"""Meta-estimators that accept only tables, through ToSequence."""

import numpy as np
from helpers import MODEST
from sklearn.ensemble import (
    BaggingClassifier,
)
from sklearn.inspection import permutation_importance
from sklearn.linear_model import RANSACRegressor
from sklearn.multiclass import OneVsOneClassifier
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

from sknt import NTMSequenceRegressor
from sknt.preprocessing import ToSequence


def as_table(X):
    return X.reshape(len(X), -1)


def through_table(estimator):
    return make_pipeline(ToSequence(n_features=2), estimator)


def test_bagging_through_a_table(sequences, model):
    X, y = sequences
    bagging = BaggingClassifier(through_table(model), n_estimators=2, random_state=0)
    assert bagging.fit(as_table(X), y).predict(as_table(X)).shape == y.shape


def test_self_training_through_a_table(sequences, model):
    X, y = sequences
    partly = np.where(np.arange(60) % 2, y == "up", -1)
    learner = SelfTrainingClassifier(through_table(model), threshold=0.6)
    assert set(learner.fit(as_table(X), partly).predict(as_table(X))) <= {0, 1}


def test_one_against_one_through_a_table(sequences, model):
    X, _ = sequences
    y = np.digitize(X[:, 0, 0], [-0.5, 0.5])
    pairs = OneVsOneClassifier(through_table(model)).fit(as_table(X), y)
    assert len(pairs.estimators_) == 3
    assert pairs.predict(as_table(X)).shape == y.shape


def test_robust_regression_through_a_table(values):
    X, y = values
    regressor = through_table(NTMSequenceRegressor(**MODEST))
    robust = RANSACRegressor(regressor, min_samples=0.5, max_trials=2, random_state=0)
    assert robust.fit(as_table(X), y).predict(as_table(X)).shape == y.shape


def test_permutation_importance_through_a_table(model):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 3, 2))
    y = (X[:, 0, 0] > 0).astype(int)
    model.set_params(max_epochs=15)
    pipeline = through_table(model).fit(as_table(X), y)
    importance = permutation_importance(
        pipeline, as_table(X), y, n_repeats=3, random_state=0
    ).importances_mean
    assert importance.argmax() == 0  # the first step's first feature
