r"""Ridge regression of targets on features, and its predictions for rows left out.

With features standardised to :math:`\tilde X` and targets centred, both weighted by the
rows' weights :math:`w_i`, the coefficients minimise

.. math::

    \sum_i w_i \lVert y_i - \bar y - \tilde x_i^\top B \rVert^2 + \alpha \lVert B \rVert^2 .

With :math:`K = W^{1/2} \tilde X \tilde X^\top W^{1/2}`, :math:`G = (K + \alpha I)^{-1}
W^{1/2} (Y - \bar y)` and :math:`q = W^{1/2} 1 / \lVert W^{1/2} 1 \rVert`, the residual of
row i in a regression on all others [1]_ is

.. math::

    w_i^{-1/2} \; G_i \, / \, \big[ (K + \alpha I)^{-1}_{ii} - q_i^2 / \alpha \big] .

The penalty α is the one whose residuals have the smallest weighted mean square.

References
----------
.. [1] Rifkin & Lippert (2007), "Notes on Regularized Least Squares", MIT-CSAIL-TR-2007-025.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

PENALTIES = np.logspace(-4, 3, 15)
"""The penalties tried, as multiples of the mean of K's diagonal."""

SMALL = 0.02
"""Added to a feature's standard deviation, in quadrature, so that features that hardly
vary are not blown up."""

ROUNDING = 1e-12
"""What differences of numbers of about 1 are at least taken to be."""

MAX_EXACT, N_FOLDS = 2000, 5
"""Rows up to which each is left out on its own; of more rows, a fold at a time."""


class Ridge(NamedTuple):
    """A fitted ridge regression.

    Attributes
    ----------
    coefficients : ndarray of shape (n_features, n_outputs)
        Of the features as they are.
    intercept : ndarray of shape (n_outputs,)
    lowest, highest : ndarray of shape (n_features,)
        The range of the features in the training rows.
    """

    coefficients: NDArray[np.float32]
    intercept: NDArray[np.float64]
    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return predictions of shape (n_samples, n_outputs)."""
        within = features.clip(self.lowest, self.highest)
        return within @ self.coefficients.astype(np.float64) + self.intercept


def fit_ridge(
    features: NDArray[np.float32],
    targets: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> tuple[Ridge, NDArray[np.float64]]:
    """Fit a ridge regression.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features)
    targets : ndarray of shape (n_samples, n_outputs)
    weights : ndarray of shape (n_samples,)
        Positive.

    Returns
    -------
    ridge : Ridge
    left_out : ndarray of shape (n_samples, n_outputs)
        The prediction for each row by a regression, with the same penalty, on all others;
        if there are more than MAX_EXACT, on those of the other folds.
    """
    shares = weights / weights.sum()
    mean = shares @ features
    variance = shares @ (features - mean.astype(np.float32)) ** 2
    scale = np.sqrt(variance + SMALL**2)
    rows = ((features - mean) / scale).astype(np.float32)
    roots = np.sqrt(weights)
    target_mean = shares @ targets
    centred = roots[:, np.newaxis] * (targets - target_mean)
    fit = _fit_exactly if len(rows) <= MAX_EXACT else _fit_in_folds
    coefficients, residuals = fit(rows, centred, roots)
    coefficients = (coefficients / scale[:, np.newaxis]).astype(np.float32)
    intercept = target_mean - mean @ coefficients
    ends = features.min(axis=0), features.max(axis=0)
    return Ridge(coefficients, intercept, *ends), targets - residuals


def _fit_exactly(
    rows: NDArray[np.float32], targets: NDArray[np.float64], roots: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coefficients, and the residuals of all rows when each is left out."""
    weighted = rows * roots[:, np.newaxis].astype(np.float32)
    kernel = (weighted @ weighted.T).astype(np.float64)
    changes = (_into_range_of_others(rows) @ weighted.T).astype(np.float64)
    eigenvalues, vectors = np.linalg.eigh(kernel)
    eigenvalues = eigenvalues.clip(0)
    rotated = vectors.T @ targets
    constant = roots / np.linalg.norm(roots)
    overlaps = (changes @ vectors) * vectors
    constant_overlaps = changes @ constant * constant

    def solve(penalty: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        inverse = 1 / (eigenvalues + penalty)
        solution = vectors @ (inverse[:, np.newaxis] * rotated)
        # Of a row that has all the weight, rounding would leave 0.
        diagonal = vectors**2 @ inverse - constant**2 / penalty
        own = solution / np.maximum(diagonal, ROUNDING / penalty)[:, np.newaxis]
        of_own = overlaps @ inverse - constant_overlaps / penalty
        moved = changes @ solution - of_own[:, np.newaxis] * own
        return solution, own / roots[:, np.newaxis] - moved

    def error(penalty: float) -> float:
        return float((roots**2 @ solve(penalty)[1] ** 2).sum())

    unit = float(np.trace(kernel)) / len(rows)
    solution, residuals = solve(min(_penalties(unit), key=error))
    return weighted.T @ solution, residuals


def _into_range_of_others(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what takes each row's features to the range of the other rows."""
    changes = np.zeros_like(rows)
    if len(rows) > 1:
        columns = np.arange(rows.shape[1])
        for kth, extreme in ((1, rows.argmin(axis=0)), (-2, rows.argmax(axis=0))):
            second = np.partition(rows, kth, axis=0)[kth]
            changes[extreme, columns] += second - rows[extreme, columns]
    return changes


def _fit_in_folds(
    rows: NDArray[np.float32], targets: NDArray[np.float64], roots: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coefficients, and the residuals of all rows when their fold is left out.

    For many rows: here the time grows with the number of features. The penalty is chosen on
    the first fold, between neighbours that are not better.
    """
    weighted = rows * roots[:, np.newaxis].astype(np.float32)
    gram = (weighted.T @ weighted).astype(np.float64)
    moments = weighted.T @ targets
    folds = [slice(k, None, N_FOLDS) for k in range(N_FOLDS)]
    ends = [(rows[own].min(axis=0), rows[own].max(axis=0)) for own in folds]

    def solve(penalty: float, left_out: slice | None = None) -> NDArray[np.float64]:
        matrix, right = gram.copy(), moments
        if left_out is not None:
            matrix -= weighted[left_out].T @ weighted[left_out]
            right = moments - weighted[left_out].T @ targets[left_out]
        matrix[np.diag_indices_from(matrix)] += penalty
        return cho_solve(cho_factor(matrix, overwrite_a=True), right, overwrite_b=False)

    def find_residuals(penalty: float, k: int) -> NDArray[np.float64]:
        own, others = folds[k], [ends[j] for j in range(N_FOLDS) if j != k]
        lowest = np.min([low for low, _ in others], axis=0)
        highest = np.max([high for _, high in others], axis=0)
        within = rows[own].clip(lowest, highest)
        predicted = within @ solve(penalty, own)
        return targets[own] / roots[own, np.newaxis] - predicted

    def error(penalty: float) -> float:
        return float((roots[folds[0]] ** 2 @ find_residuals(penalty, 0) ** 2).sum())

    penalty = _downhill(_penalties(float(np.trace(gram)) / len(rows)), error)
    residuals = np.empty_like(targets)
    for k, own in enumerate(folds):
        residuals[own] = find_residuals(penalty, k)
    return solve(penalty), residuals


def _downhill(penalties: list[float], error: Callable[[float], float]) -> float:
    """Return the penalty at the bottom of the errors, from one third of the way on."""
    here = len(penalties) // 3
    errors = {here: error(penalties[here])}
    while True:
        for near in (here - 1, here + 1):
            if 0 <= near < len(penalties) and near not in errors:
                errors[near] = error(penalties[near])
        best = min(errors, key=lambda i: errors[i])
        if best == here:
            return penalties[here]
        here = best


def _penalties(unit: float) -> list[float]:
    """Return the penalties to try, in units of a row's mean square norm."""
    return [float(p) for p in PENALTIES * max(unit, float(np.finfo(np.float32).tiny))]
