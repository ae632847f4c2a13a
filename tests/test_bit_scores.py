"""Scores in bits and in errors."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sknt.datasets import make_copy, make_repeat_copy
from sknt.metrics import (
    bit_error_rate,
    bits_per_sequence,
    neg_bits_scorer,
    optimal_ngram_proba,
    repeat_copy_errors,
    sequence_error_rate,
)

nan = np.nan


def test_bits_are_the_sum_of_the_cross_entropy_of_the_targets():
    rng = np.random.RandomState(0)
    X, y = make_copy(6, n_bits=3, max_length=4, random_state=0)
    proba = rng.uniform(0.01, 0.99, size=y.shape)
    expected = []
    for targets, given in zip(y, proba, strict=True):
        total = 0.0
        for truth, p in zip(targets.ravel(), given.ravel(), strict=True):
            if not math.isnan(truth):
                total -= math.log2(p if truth else 1 - p)
        expected.append(total)
    assert_allclose(bits_per_sequence(y, proba, reduce=False), expected)
    assert_allclose(bits_per_sequence(y, proba), np.mean(expected))

    class Known:
        def predict_proba(self, X):
            return proba

    assert_allclose(neg_bits_scorer(Known(), X, y), -np.mean(expected))


def test_no_prediction_costs_infinitely_many_bits():
    assert np.isfinite(bits_per_sequence([[[1.0]]], [[[0.0]]]))
    assert bits_per_sequence([[[1.0], [nan]]], [[[1.0], [nan]]]) == 0


def test_errors_count_bits_and_sequences():
    y = np.array([[[0, 1], [1, 1]], [[nan, nan], [1, 0]]])
    y_pred = np.array([[[0, 1], [0, 1]], [[1, 1], [1, 0]]])
    assert bit_error_rate(y, y_pred) == 1 / 6
    assert sequence_error_rate(y, y_pred) == 1 / 2
    assert bit_error_rate(y, y) == sequence_error_rate(y, y) == 0


def test_errors_of_repeat_copy_are_in_its_bits_or_its_end():
    _, y = make_repeat_copy(4, n_bits=2, random_state=0)
    assert repeat_copy_errors(y, y) == {"bits": 0, "end": 0}
    early = y.copy()
    step = np.flatnonzero(~np.isnan(y[1, :, 0]))[0]
    early[1, step, -1] = 1
    assert repeat_copy_errors(y, early) == {"bits": 0, "end": 1 / 4}
    early[2, step, 0] = 1 - early[2, step, 0]
    n_bits = (~np.isnan(y[..., :-1])).sum()
    wrong = np.isfinite(y[2, step, 0]) / n_bits
    assert repeat_copy_errors(y, early)["bits"] == wrong


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bits_per_sequence([[[0.5]]], [[[0.5]]]), "sample 0, step 0"),
        (lambda: bits_per_sequence([[[1]]], [[[-3.0]]]), "not logits"),
        (lambda: bits_per_sequence([[[nan]]], [[[0.5]]]), "no target"),
        (lambda: bits_per_sequence([[1]], [[0.5]]), "shape"),
        (lambda: bit_error_rate([[[1]]], [[[1], [0]]]), "y_pred has shape"),
        (lambda: optimal_ngram_proba([[[0.0], [2.0]]]), "bits 0 and 1"),
        (lambda: optimal_ngram_proba([[[0.0], [nan]]]), "without NaN"),
    ],
)
def test_invalid_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
