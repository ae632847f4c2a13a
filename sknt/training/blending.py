"""Blending the network with a regression on random convolutions.

The blended output is (1 − s) times the regression's plus s times the network's. The share s
is judged on sequences that neither has learned from: the network trains on the others, and
the regression predicts each sequence from a fit that it is left out of. In the last part of
its training, the network sees all sequences, if it has any share. Where there are enough
sequences to validate on, the share is judged on these, and the network sees all others
from the beginning.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from sknt.convolutions.model import ConvolutionalRidge
from sknt.training.data import TrainingData

HELD_OUT, MAX_HELD_OUT = 0.2, 400
"""Fraction of the sequences on which the share is judged, and their number at most."""

LAST_PART = 0.3
"""Part of the epochs in which the network trains on the held-out sequences, too."""

SHARES = np.linspace(0, 1, 11).round(1)
"""The shares of the network that are tried."""

MIN_JUDGED = 10
"""Fewest sequences of the user's own to validate on from which the share can be judged."""

MIN_GAIN = 2.0
"""The smallest gain in log-likelihood, in nats, for which the network has any share."""

Losses = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Returns the loss of each sequence for outputs of shape (n_samples, n_outputs)."""


@dataclass
class Blend:
    """What is known of a blend during training.

    Attributes
    ----------
    data : TrainingData
        All that may be trained on.
    outputs : ndarray of shape (n_samples, n_outputs)
        The regression's output for each sequence, from a fit that it is left out of.
    is_held_out : ndarray of bool of shape (n_samples,)
    judged : TrainingData
        The sequences on which the share is judged: those held out, or others.
    judged_outputs : ndarray of shape (n_judged, n_outputs)
        The regression's outputs for them.
    has_groups : bool
        Whether ``outputs`` are from fits that other sequences of the same group were in.
    mean_loss : float or None
        The mean loss of the blend on sequences that nothing has learned from, once the
        network's share has been chosen.
    """

    data: TrainingData
    outputs: NDArray[np.float64]
    is_held_out: NDArray[np.bool_]
    judged: TrainingData
    judged_outputs: NDArray[np.float64]
    has_groups: bool = False
    mean_loss: float | None = None


def held_out_fraction(groups: NDArray[np.int64]) -> float:
    """Return the fraction to hold out of sequences with these groups of equal ones."""
    return min(HELD_OUT, MAX_HELD_OUT / (groups.max() + 1))


def fit_regression(
    data: TrainingData,
    groups: NDArray[np.int64],
    codes: NDArray[np.float64],
    *,
    n_thresholds: int,
    seed: int,
    backend: str,
) -> tuple[ConvolutionalRidge, NDArray[np.float64]]:
    """Fit a regression on random convolutions.

    Parameters
    ----------
    data : TrainingData
    groups : ndarray of shape (n_samples,)
        Equal numbers for equal rows, which count as one of their total weight: so that none
        helps to predict another.
    codes : ndarray of shape (n_samples, n_outputs)
        The targets as numbers of mean square about 1.
    n_thresholds, seed, backend
        As in :class:`ConvolutionalRidge`.

    Returns
    -------
    regression : ConvolutionalRidge
    outputs : ndarray of shape (n_samples, n_outputs)
        The outputs for each sequence by a regression that it is left out of.
    """
    _, first, members = np.unique(groups, return_index=True, return_inverse=True)
    shape = codes.shape
    row_weights = np.broadcast_to(data.weights.reshape(shape[0], -1), shape)
    weights = np.zeros((len(first), shape[1]))
    np.add.at(weights, members, row_weights)
    regression = ConvolutionalRidge(
        data.inputs.take(first),
        codes[first],
        weights,
        n_thresholds=n_thresholds,
        seed=seed,
        backend=backend,
    )
    outputs = regression.left_out_[members]
    del regression.left_out_  # needed no more
    return regression, outputs


def calibrate(outputs: NDArray[np.float64], losses: Losses) -> float:
    """Return the factor of the outputs with the smallest loss, between 0.1 and 100.

    One more sequence counts as wrong by as much as they are right on average: if all are
    right, the factor would otherwise be as large as it may.
    """

    def total(log_factor: float) -> float:
        scaled = np.exp(log_factor) * outputs
        return float(losses(scaled).sum() + losses(-scaled).mean())

    bounds = (np.log(0.1), np.log(100.0))
    return float(np.exp(minimize_scalar(total, bounds=bounds, method="bounded").x))


def choose_share(
    outputs: NDArray[np.float64],
    network_outputs: NDArray[np.float64],
    losses: Losses,
    log_likelihood: Callable[[NDArray[np.float64]], float],
) -> float:
    """Return the network's share of the blend.

    Parameters
    ----------
    outputs, network_outputs : ndarray of shape (n_samples, n_outputs)
        Those of the regression and of the network for held-out sequences.
    losses : callable
        Returns the loss of each of them.
    log_likelihood : callable
        Returns the log-likelihood that losses stand for.

    Returns
    -------
    share : float
        The best of SHARES; 0 if the mean loss is not smaller than that of the regression
        alone by more than its standard error, or the log-likelihood not larger by more than
        MIN_GAIN.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # the network may have diverged
        tried = np.array([losses(blended(outputs, network_outputs, s)) for s in SHARES])
    if not np.isfinite(tried).all():
        return 0.0
    best = int(tried.mean(axis=1).argmin())
    gains = tried[0] - tried[best]
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
    gain = log_likelihood(tried[best]) - log_likelihood(tried[0])
    return float(SHARES[best]) if gains.mean() > error and gain > MIN_GAIN else 0.0


def blended(
    outputs: NDArray[np.float64], network_outputs: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Return the blend of two outputs."""
    return (1 - share) * outputs + share * network_outputs
