"""Estimators that need no training, and the steps to be scored, for tests of the scores."""

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

nan = np.nan


def absent_steps(X):
    return np.isnan(X).all(axis=2)


class StepClassifier(ClassifierMixin, BaseEstimator):
    """Uses a step's features as the logits of its classes."""

    def __init__(self, classes=(0, 1, 2), missing_target=nan, temperature=1.0):
        self.classes = classes
        self.missing_target = missing_target
        self.temperature = temperature

    def fit(self, X, y=None):
        self.classes_ = np.array(self.classes)
        return self

    def predict_proba(self, X):
        return softmax(X / self.temperature, axis=-1)

    def decision_function(self, X):
        return X[..., 1] - X[..., 0] if len(self.classes_) == 2 else X

    def predict(self, X):
        labels = self.classes_[np.nan_to_num(X).argmax(axis=-1)]
        if labels.dtype.kind == "U":
            labels = labels.astype(object)
        elif np.isnan(self.missing_target):
            labels = labels.astype(float)
        labels[absent_steps(X)] = self.missing_target
        return labels


class StepTagger(ClassifierMixin, BaseEstimator):
    """Uses a step's features as the logits of as many 0/1 outputs."""

    def fit(self, X, y=None):
        self.classes_ = np.arange(X.shape[2])
        return self

    def predict_proba(self, X):
        return expit(X)

    def predict(self, X):
        return np.where(np.isnan(X), nan, X > 0)


class StepRegressor(RegressorMixin, BaseEstimator):
    """Uses a step's features as its values; a single feature has no axis."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return X[..., 0] if X.shape[2] == 1 else X


def make_sequences_with_gaps(n_features):
    X = np.random.RandomState(0).normal(size=(9, 5, n_features))
    X[0, 3:] = X[1, :2] = X[2, [1, 3]] = X[3, [0, 2, 4]] = X[8, 4] = nan
    return X


def labels_for(X, classes=(0, 1, 2), missing=nan):
    """Label every step except absent ones and some that are present."""
    rng = np.random.RandomState(1)
    y = rng.choice(np.array(classes, dtype=object), size=X.shape[:2])
    guessed = rng.uniform(size=y.shape) < 0.5
    best = np.array(classes, dtype=object)[np.nan_to_num(X).argmax(axis=-1)]
    y = np.where(guessed, y, best)
    y[absent_steps(X)] = missing
    y[4, 1] = y[5] = y[0, 0] = missing
    return y if isinstance(classes[0], str) else y.astype(type(missing))


def values_for(X):
    rng = np.random.RandomState(1)
    y = X + 0.4 * rng.normal(size=X.shape)
    y[4, 1] = y[5] = y[0, 0] = nan
    return y


def scored_places(X, y, missing=nan):
    """List the (sample, step) pairs that count, one at a time."""
    places = []
    for i in range(len(X)):
        for t in range(X.shape[1]):
            if all(np.isnan(value) for value in X[i, t]):
                continue
            target = y[i, t] if np.ndim(y[i, t]) == 0 else y[i, t, 0]
            if target == missing or (missing != missing and target != target):
                continue
            places.append((i, t))
    assert 0 < len(places) < X.shape[0] * X.shape[1]
    return places


def flat(array, places):
    return np.array([array[place] for place in places])


THREE = (0, 1, 2)
WORDS = ("no", "perhaps", "yes")
