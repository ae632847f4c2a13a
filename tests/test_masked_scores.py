"""masked_accuracy and masked_r2."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import (
    r2_score,
)

from sknt.metrics import masked_accuracy, masked_r2

nan = np.nan


def _entries(*shape):
    rng = np.random.RandomState(0)
    y_true, y_pred = rng.randint(0, 2, size=(2, *shape))
    valid = rng.uniform(size=shape) < 0.6
    weights = rng.uniform(0.5, 3, size=shape[0])
    return y_true, y_pred, valid, weights


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(20,), (10, 6)])
def test_accuracy_is_the_fraction_of_valid_entries_that_are_right(shape, weighted):
    y_true, y_pred, valid, weights = _entries(*shape)
    right = total = 0.0
    for index in np.ndindex(shape):
        if valid[index]:
            weight = weights[index[0]] if weighted else 1.0
            total += weight
            right += weight * (y_true[index] == y_pred[index])
    assert 0 < right < total
    result = masked_accuracy(
        y_true, y_pred, valid, sample_weight=weights if weighted else None
    )
    assert isinstance(result, float)
    assert result == pytest.approx(right / total)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(30, 3), (10, 6, 3)])
def test_accuracy_of_indicators_requires_all_valid_outputs_to_be_right(shape, weighted):
    y_true, y_pred, valid, weights = _entries(*shape)
    valid[0] = False  # no targets: does not count
    right = total = 0.0
    for index in np.ndindex(shape[:-1]):
        outputs = [k for k in range(shape[-1]) if valid[(*index, k)]]
        if outputs:
            weight = weights[index[0]] if weighted else 1.0
            total += weight
            right += weight * all(
                y_true[(*index, k)] == y_pred[(*index, k)] for k in outputs
            )
    assert 0 < right < total
    result = masked_accuracy(
        y_true,
        y_pred,
        valid,
        multilabel=True,
        sample_weight=weights if weighted else None,
    )
    assert result == pytest.approx(right / total)


def test_accuracy_compares_words_with_nan_among_them():
    y_true = np.array([["a", "b", nan], ["b", nan, nan]], dtype=object)
    y_pred = np.array([["a", "a", nan], ["b", "b", nan]], dtype=object)
    valid = np.array([[True, True, False], [True, False, False]])
    assert masked_accuracy(y_true, y_pred, valid) == pytest.approx(2 / 3)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(30, 2), (10, 6, 3)])
def test_r2_is_averaged_over_outputs_and_each_uses_its_own_valid_entries(shape, weighted):
    rng = np.random.RandomState(0)
    y_true = rng.normal(size=shape) * np.arange(1, shape[-1] + 1)
    y_pred = y_true + rng.normal(size=shape)
    valid = rng.uniform(size=shape) < 0.6
    weights = rng.uniform(0.5, 3, size=shape[0])
    scores = []
    for output in range(shape[-1]):
        triples = [
            (
                weights[index[0]] if weighted else 1.0,
                y_true[(*index, output)],
                y_pred[(*index, output)],
            )
            for index in np.ndindex(shape[:-1])
            if valid[(*index, output)]
        ]
        mean = sum(w * y for w, y, _ in triples) / sum(w for w, _, _ in triples)
        residual = sum(w * (y - p) ** 2 for w, y, p in triples)
        total = sum(w * (y - mean) ** 2 for w, y, _ in triples)
        scores.append(1 - residual / total)
    result = masked_r2(y_true, y_pred, valid, sample_weight=weights if weighted else None)
    assert_allclose(result, np.mean(scores))


def test_r2_ignores_outputs_without_targets_and_invalid_entries():
    rng = np.random.RandomState(0)
    y_true, y_pred = rng.normal(size=(2, 20, 2))
    valid = np.zeros((20, 2), dtype=bool)
    valid[:12, 0] = True
    y_true[12:] = nan
    y_true[:, 1] = nan
    expected = r2_score(y_true[:12, 0], y_pred[:12, 0])
    assert masked_r2(y_true, y_pred, valid) == pytest.approx(expected)
