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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

PENALTIES = np.logspace(-4, 0, 13)
"""The penalties tried, as multiples of the mean of K's diagonal."""

CONSTANT = 1e-6
"""Features with a smaller standard deviation are left out."""

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
    """

    coefficients: NDArray[np.float32]
    intercept: NDArray[np.float64]

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return predictions of shape (n_samples, n_outputs)."""
        return features @ self.coefficients.astype(np.float64) + self.intercept


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
    scale = np.sqrt(shares @ (features - mean.astype(np.float32)) ** 2)
    scale[scale <= CONSTANT] = np.inf  # such a feature has no influence
    roots = np.sqrt(weights)
    rows = (features - mean) / scale * roots[:, np.newaxis]
    rows = rows.astype(np.float32)
    target_mean = shares @ targets
    centred = roots[:, np.newaxis] * (targets - target_mean)
    fit = _fit_exactly if len(rows) <= MAX_EXACT else _fit_in_folds
    coefficients, residuals = fit(rows, centred, roots)
    coefficients = (coefficients / scale[:, np.newaxis]).astype(np.float32)
    intercept = target_mean - mean @ coefficients
    return Ridge(coefficients, intercept), targets - residuals


def _fit_exactly(
    rows: NDArray[np.float32], targets: NDArray[np.float64], roots: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coefficients, and the residuals of all rows when each is left out."""
    kernel = (rows @ rows.T).astype(np.float64)
    eigenvalues, vectors = np.linalg.eigh(kernel)
    eigenvalues = eigenvalues.clip(0)
    rotated = vectors.T @ targets
    shares = roots**2 / (roots**2).sum()

    def solve(penalty: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        inverse = 1 / (eigenvalues + penalty)
        solution = vectors @ (inverse[:, np.newaxis] * rotated)
        # Of a row that has all the weight, rounding would leave 0.
        diagonal = np.maximum(vectors**2 @ inverse - shares / penalty, ROUNDING / penalty)
        return solution, solution / (diagonal * roots)[:, np.newaxis]

    def error(penalty: float) -> float:
        return float((shares @ solve(penalty)[1] ** 2).sum())

    solution, residuals = solve(
        min(_penalties(float(np.trace(kernel)) / len(rows)), key=error)
    )
    return rows.T @ solution, residuals


def _fit_in_folds(
    rows: NDArray[np.float32], targets: NDArray[np.float64], roots: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coefficients, and the residuals of all rows when their fold is left out.

    For many rows: here the time grows with the number of features. The penalty is chosen on
    the first fold.
    """
    gram = (rows.T @ rows).astype(np.float64)
    moments = rows.T @ targets
    folds = [slice(k, None, N_FOLDS) for k in range(N_FOLDS)]

    def solve(penalty: float, left_out: slice | None = None) -> NDArray[np.float64]:
        matrix, right = gram.copy(), moments
        if left_out is not None:
            matrix -= rows[left_out].T @ rows[left_out]
            right = moments - rows[left_out].T @ targets[left_out]
        matrix[np.diag_indices_from(matrix)] += penalty
        return cho_solve(cho_factor(matrix, overwrite_a=True), right, overwrite_b=False)

    def error(penalty: float) -> float:
        own = folds[0]
        return float(((targets[own] - rows[own] @ solve(penalty, own)) ** 2).sum())

    penalty = min(_penalties(float(np.trace(gram)) / len(rows)), key=error)
    residuals = np.empty_like(targets)
    for own in folds:
        residuals[own] = targets[own] - rows[own] @ solve(penalty, own)
    return solve(penalty), residuals / roots[:, np.newaxis]


def _penalties(unit: float) -> list[float]:
    """Return the penalties to try, in units of a row's mean square norm."""
    return [float(p) for p in PENALTIES * max(unit, float(np.finfo(np.float32).tiny))]
