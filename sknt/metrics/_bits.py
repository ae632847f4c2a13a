"""Scores of the algorithmic tasks: bits of loss, wrong bits, and decoded vectors."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknt.data.sequences import as_numpy, check_sequences


def bits_per_sequence(y: ArrayLike, proba: ArrayLike, *, reduce: bool = True) -> Any:
    """Cross-entropy in bits, summed over a sequence's targets.

    This is what the NTM paper's learning curves show ("cost per sequence (bits)").

    Parameters
    ----------
    y : array-like of shape (n_samples, n_timesteps, n_outputs)
        Bits, NaN where there is no target.
    proba : array-like of the same shape
        Probability of a 1, as ``predict_proba`` gives it; anything where there is no
        target. A prediction that is certain but wrong costs 1074 bits, not infinitely many.
    reduce : bool, default=True
        Whether to average over the sequences.

    Returns
    -------
    bits : float, or with ``reduce=False`` ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If the shapes differ, a target is neither 0 nor 1, there is no target, or a
        probability at a target is not in [0, 1].

    Examples
    --------
    >>> from sknt.metrics import bits_per_sequence
    >>> float(bits_per_sequence([[[0, 1], [1, float("nan")]]], [[[0.5, 0.5], [0.25, 0]]]))
    4.0
    """
    y, valid = _check_bits(y)
    proba = _same_shape("proba", proba, y)
    wrong = valid & ~((proba >= 0) & (proba <= 1))
    if wrong.any():
        sample, step = np.argwhere(wrong)[0][:2]
        raise ValueError(
            f"proba is not in [0, 1] at sample {sample}, step {step}; give "
            "probabilities, not logits"
        )
    of_truth = np.where(y == 1, proba, 1 - proba)
    smallest = np.nextafter(0, 1)
    bits = -np.log2(np.maximum(of_truth, smallest), where=valid, out=np.zeros_like(y))
    per_sequence = bits.reshape(len(y), -1).sum(axis=1)
    return float(per_sequence.mean()) if reduce else per_sequence


def bit_error_rate(y: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the fraction of the target bits that are predicted wrong.

    Parameters
    ----------
    y : array-like of shape (n_samples, n_timesteps, n_outputs)
        Bits, NaN where there is no target.
    y_pred : array-like of the same shape
        Predicted bits; anything where there is no target.

    Returns
    -------
    rate : float

    Raises
    ------
    ValueError
        If the shapes differ, a target is neither 0 nor 1, or there is none.
    """
    wrong, valid = _wrong_bits(y, y_pred)
    return float(wrong[valid].mean())


def sequence_error_rate(y: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the fraction of sequences with at least one target bit predicted wrong.

    Parameters
    ----------
    y, y_pred : array-like of shape (n_samples, n_timesteps, n_outputs)
        As in :func:`bit_error_rate`.

    Returns
    -------
    rate : float

    Raises
    ------
    ValueError
        As in :func:`bit_error_rate`.
    """
    wrong, _ = _wrong_bits(y, y_pred)
    return float(wrong.any(axis=(1, 2)).mean())


def neg_bits_scorer(estimator: Any, X: Any, y: ArrayLike) -> float:
    """Score a classifier of 0/1 indicators by its negated bits of loss.

    Parameters
    ----------
    estimator : NTMSequenceClassifier
        Fitted, with ``return_sequences=True``.
    X, y : array-like
        As in ``fit``.

    Returns
    -------
    score : float
        ``-bits_per_sequence(y, estimator.predict_proba(X))``; larger is better, so that
        it can be the ``scoring`` of a search.
    """
    return -bits_per_sequence(y, estimator.predict_proba(X))


def decode_vectors(y: ArrayLike) -> list[NDArray[np.int64]]:
    """Extract the vectors of bits that each sequence reproduces.

    Parameters
    ----------
    y : array-like of shape (n_samples, n_timesteps, n_outputs)
        Targets, or predictions that are NaN where there is no target.

    Returns
    -------
    vectors : list of ndarray of shape (n_vectors_i, n_outputs)
        The steps of each sequence that have a target, in order.

    Raises
    ------
    ValueError
        If an entry is neither 0 nor 1 nor NaN, or all are NaN.
    """
    y, valid = _check_bits(y)
    return [
        steps[there.any(axis=-1)].astype(np.int64)
        for steps, there in zip(y, valid, strict=True)
    ]


def repeat_copy_errors(y: ArrayLike, y_pred: ArrayLike) -> dict[str, float]:
    """Return how a repeat copy goes wrong: in its bits, or in its number of repeats.

    Parameters
    ----------
    y : array-like of shape (n_samples, n_timesteps, n_bits + 1)
        Targets of :func:`sknt.datasets.make_repeat_copy`, the end marker last.
    y_pred : array-like of the same shape
        Predicted bits; anything where there is no target.

    Returns
    -------
    errors : dict
        ``bits``, the fraction of the target bits (without the end markers) that are wrong,
        and ``end``, the fraction of the sequences in which the end marker is not at its
        step alone.

    Raises
    ------
    ValueError
        If the shapes differ, a target is neither 0 nor 1, or there is none.
    """
    wrong, valid = _wrong_bits(y, y_pred)
    return {
        "bits": float(wrong[..., :-1].sum() / valid[..., :-1].sum()),
        "end": float(wrong[..., -1].any(axis=1).mean()),
    }


def optimal_ngram_proba(X: ArrayLike, order: int = 6) -> NDArray[np.float64]:
    r"""Predict dynamic N-grams optimally, with the Bayesian estimator [1]_.

    .. math:: P(B = 1 | N_1, N_0, c) = \frac{N_1 + 1/2}{N_0 + N_1 + 1}

    where the counts are those of ones and zeros seen so far after the same context. Before
    the first complete context it is ½.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_timesteps, 1)
        Bits, as :func:`sknt.datasets.make_dynamic_ngrams` makes them.
    order : int, default=6
        A bit depends on the ``order - 1`` before it.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_timesteps, 1)
        Probability that the next bit is 1, from what was seen up to each step. The paired
        excess of a model is ``bits_per_sequence(y, model.predict_proba(X)) -
        bits_per_sequence(y, optimal_ngram_proba(X))``.

    Raises
    ------
    ValueError
        If X is not made of bits, or sequences are of unequal length.

    References
    ----------
    .. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines",
       arXiv:1410.5401, equation 10 (Murphy 2012).
    """
    sequences = check_sequences(X)
    bits = sequences.values[..., 0].astype(np.int64)
    n_samples, n_timesteps = bits.shape
    if sequences.values.shape[2] != 1 or (sequences.lengths != np.shape(X)[1]).any():
        raise ValueError("X is not of shape (n_samples, n_timesteps, 1) without NaN")
    if not np.isin(sequences.values, (0, 1)).all():
        raise ValueError("X holds numbers other than the bits 0 and 1")
    n_contexts = 2 ** (order - 1)
    counts = np.zeros((n_samples, n_contexts, 2))
    samples, context = np.arange(n_samples), np.zeros(n_samples, np.int64)
    proba = np.full((n_samples, n_timesteps, 1), 0.5)
    for t in range(n_timesteps):
        if t >= order - 1:  # the bit at t came after a complete context
            counts[samples, context, bits[:, t]] += 1
        context = (2 * context + bits[:, t]) % n_contexts
        if t >= order - 2:
            n_0, n_1 = counts[samples, context].T
            proba[:, t, 0] = (n_1 + 0.5) / (n_0 + n_1 + 1)
    return proba


def _check_bits(y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return targets, and which entries hold one."""
    y = np.asarray(as_numpy(y), dtype=np.float64)
    if y.ndim != 3:
        raise ValueError(
            f"y has shape {y.shape}; expected (n_samples, n_timesteps, n_outputs)"
        )
    valid = ~np.isnan(y)
    wrong = valid & (y != 0) & (y != 1)
    if wrong.any():
        sample, step = np.argwhere(wrong)[0][:2]
        raise ValueError(
            f"y is neither 0 nor 1 at sample {sample}, step {step}; give bits, and NaN "
            "where there is no target"
        )
    if not valid.any():
        raise ValueError("y has no target; nothing to score")
    return y, valid


def _wrong_bits(
    y: ArrayLike, y_pred: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which targets are predicted wrong, and which entries hold one."""
    y, valid = _check_bits(y)
    return (y != _same_shape("y_pred", y_pred, y)) & valid, valid


def _same_shape(name: str, values: ArrayLike, y: NDArray[Any]) -> NDArray[np.float64]:
    values = np.asarray(as_numpy(values), dtype=np.float64)
    if values.shape != y.shape:
        raise ValueError(f"{name} has shape {values.shape}, but y has shape {y.shape}")
    return values
