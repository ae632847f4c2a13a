"""What people would pick instead, as estimators of lists of arrays (length, n_features).

With targets per sequence: MiniRocket, the nearest neighbour, and any estimator of padded
rows. With targets per step: any estimator of the steps around each step, and the longest
repetition for sequences of symbols.
"""

import warnings

import numpy as np
from numba import njit
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ALPHAS = np.logspace(-3, 3, 10)
SHORTEST = 9  # steps that MiniRocket needs


class Flat(BaseEstimator):
    """An estimator of the steps side by side, padded with NaN to the longest sequence."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        """Fit on the rows."""
        self.n_timesteps_ = max(map(len, X))
        self.estimator.fit(self._rows(X), y)
        return self

    def predict(self, X):
        """Predict from the rows, without the steps beyond the longest training sequence."""
        return self.estimator.predict(self._rows(X))

    def _rows(self, X):
        rows = np.full((len(X), self.n_timesteps_, X[0].shape[1]), np.nan)
        for row, sequence in zip(rows, X, strict=True):
            row[: len(sequence)] = sequence[: self.n_timesteps_]
        return rows.reshape(len(X), -1)


class Window(BaseEstimator):
    """An estimator of each step's target from the steps around it, zeros at the ends."""

    def __init__(self, estimator, before, after):
        self.estimator = estimator
        self.before = before
        self.after = after

    def fit(self, X, y):
        """Fit on all steps that have a target."""
        targets = np.concatenate(y)
        wanted = np.isfinite(targets)
        self.estimator.fit(self._rows(X)[wanted], targets[wanted])
        return self

    def predict(self, X):
        """Predict each step; return a list of arrays."""
        predicted = self.estimator.predict(self._rows(X))
        return np.split(predicted, np.cumsum([len(sequence) for sequence in X])[:-1])

    def _rows(self, X):
        width = self.before + 1 + self.after
        rows = []
        for sequence in X:
            padded = np.pad(sequence, [(self.before, self.after), (0, 0)])
            shifted = [padded[i : i + len(sequence)] for i in range(width)]
            rows.append(np.concatenate(shifted, axis=1))
        return np.concatenate(rows)


class MiniRocketRidge(BaseEstimator):
    """MiniRocket's features and a linear model, as its authors recommend."""

    def __init__(self, classes=True, random_state=None):
        self.classes = classes
        self.random_state = random_state

    def fit(self, X, y):
        """Fit the features' biases, then the linear model."""
        from sktime.transformations.rocket import (
            MiniRocketMultivariate,
            MiniRocketMultivariateVariable,
        )

        self.equal_ = len({len(sequence) for sequence in X}) == 1
        if self.equal_:
            self.features_ = MiniRocketMultivariate(random_state=self.random_state)
        else:
            self.features_ = MiniRocketMultivariateVariable(
                random_state=self.random_state, pad_value_short_series=0.0
            )
        linear = RidgeClassifierCV(ALPHAS) if self.classes else RidgeCV(ALPHAS)
        self.linear_ = make_pipeline(StandardScaler(with_mean=False), linear)
        panel = self._panel(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a set of unequal lengths is univariate
            features = self.features_.fit_transform(panel)
        self.linear_.fit(np.asarray(features), y)
        return self

    def predict(self, X):
        """Predict from the features."""
        return self.linear_.predict(np.asarray(self.features_.transform(self._panel(X))))

    def _panel(self, X):
        if not self.equal_:
            import pandas as pd

            return [pd.DataFrame(sequence) for sequence in X]
        panel = np.stack(X).transpose(0, 2, 1)
        return np.pad(panel, [(0, 0), (0, 0), (0, max(0, SHORTEST - panel.shape[2]))])


class NearestDTW(BaseEstimator):
    """The target of the nearest training sequence by dynamic time warping.

    Steps are compared at most a tenth of the longer length apart, all features at once,
    each divided by its standard deviation in the training set.
    """

    def fit(self, X, y):
        """Store the training set."""
        self.scale_ = np.concatenate(X).std(axis=0) + 1e-12
        self.sequences_, self.targets_ = self._scaled(X), np.asarray(y)
        return self

    def predict(self, X):
        """Return the nearest sequences' targets."""
        return self.targets_[[self._nearest(sequence) for sequence in self._scaled(X)]]

    def _scaled(self, X):
        return [np.ascontiguousarray(sequence / self.scale_) for sequence in X]

    def _nearest(self, sequence):
        least, nearest = np.inf, 0
        for i, other in enumerate(self.sequences_):
            distance = warping_distance(sequence, other, 0.1, least)
            if distance < least:
                least, nearest = distance, i
        return nearest


class LongestMatch(BaseEstimator):
    """Predict the next symbol from the longest repetition within the sequence.

    That is the symbol that followed when the latest ones, as many of them as possible,
    occurred before; the last time if there are several. A symbol new to its sequence
    is followed by the one that follows it most often in the training set. Symbols are
    indicators, and targets the indices of the next symbol.
    """

    def fit(self, X, y):
        """Count which symbol follows which."""
        counts = np.zeros((X[0].shape[1], X[0].shape[1]))
        for sequence, following in zip(X, y, strict=True):
            known = np.isfinite(following)
            np.add.at(counts, (sequence.argmax(1)[known], following[known].astype(int)), 1)
        self.most_often_ = counts.argmax(axis=1)
        return self

    def predict(self, X):
        """Predict each step's next symbol; return a list of arrays."""
        return [self._follow(sequence.argmax(axis=1)) for sequence in X]

    def _follow(self, symbols):
        following = self.most_often_[symbols]
        matched = np.zeros(
            len(symbols), dtype=int
        )  # symbols up to each that repeat the latest
        for t in range(1, len(symbols)):
            longer = np.append(0, matched[:-1]) + 1
            matched = np.where(symbols == symbols[t], longer, 0)
            matched[t:] = 0
            if matched.any():
                last = t - 1 - matched[t - 1 :: -1].argmax()
                following[t] = symbols[last + 1]
        return following


@njit(cache=True)
def warping_distance(a, b, window, limit):
    """Return the squared distance by dynamic time warping, or infinity if above ``limit``.

    Parameters
    ----------
    a, b : arrays of shape (length, n_features)
    window : float
        How far apart steps may be compared, as a fraction of the longer length. The
        difference of the lengths is always allowed.
    limit : float
        From where on the distance does not matter.
    """
    n, m = len(a), len(b)
    width = max(int(np.ceil(window * max(n, m))), abs(n - m))
    above = np.full(m + 1, np.inf)
    row = np.full(m + 1, np.inf)
    above[0] = 0.0
    for i in range(n):
        begin, end = max(0, i - width), min(m, i + width + 1)
        row[begin] = np.inf
        least = np.inf
        for j in range(begin, end):
            cost = 0.0
            for k in range(a.shape[1]):
                cost += (a[i, k] - b[j, k]) ** 2
            row[j + 1] = cost + min(above[j], above[j + 1], row[j])
            least = min(least, row[j + 1])
        if end < m:
            row[end + 1] = np.inf
        if least > limit:
            return np.inf
        above, row = row, above
    return above[m]


def linear(classes):
    """Return a linear model on standardised features; absent ones count as average."""
    model = LogisticRegression(max_iter=1000) if classes else RidgeCV(ALPHAS)
    fill = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    return make_pipeline(StandardScaler(), fill, model)


def boosting(classes):
    """Return gradient boosting, without the part that would be held out at random."""
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return kind(early_stopping=False, random_state=0)
