"""Targets of the transformer within a StepwiseTransformer."""

import numpy as np
import pytest
from gap_helpers import is_absent, present_steps
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.feature_selection import SelectKBest, f_regression

from sknt.preprocessing import StepwiseTransformer

nan = np.nan


def targets_for_selection():
    """Feature 2 predicts the sequence's value, feature 0 the step's."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(12, 5, 3))
    of_sequence, of_step = rng.normal(size=12), rng.normal(size=(12, 5))
    X[..., 2] += 5 * of_sequence[:, np.newaxis]
    X[..., 0] += 5 * of_step
    X[:4, 3:] = X[4:8, 0] = X[8, [1, 3]] = nan
    return X, of_sequence, of_step


def select():
    return SelectKBest(f_regression, k=1)


def test_steps_get_their_sequences_target():
    X, y, _ = targets_for_selection()
    targets = [y[i] for i, x in enumerate(X) for step in x if not is_absent(step)]
    expected = select().fit(present_steps(X), targets)
    assert_array_equal(expected.get_support(), [False, False, True])
    stepwise = StepwiseTransformer(select())
    result = stepwise.fit_transform(X, y)
    assert_allclose(stepwise.transformer_.scores_, expected.scores_)
    assert_array_equal(result, X[..., 2:])


def of_present(X, y):
    return [
        [target for step, target in zip(x, row, strict=True) if not is_absent(step)]
        for x, row in zip(X, y, strict=True)
    ]


@pytest.mark.parametrize(
    "convert",
    [
        lambda X, y: y,
        lambda X, y: np.where(np.isnan(X).all(axis=2), nan, y),
        lambda X, y: y.tolist(),
        of_present,
        lambda X, y: [np.array(row) for row in of_present(X, y)],
    ],
    ids=["array", "NaN at absent steps", "lists", "ragged lists", "list of arrays"],
)
def test_steps_get_their_own_targets(convert):
    X, _, y = targets_for_selection()
    targets = np.concatenate(of_present(X, y))
    expected = select().fit(present_steps(X), targets)
    assert_array_equal(expected.get_support(), [True, False, False])
    stepwise = StepwiseTransformer(select()).fit(X, convert(X, y))
    assert_allclose(stepwise.transformer_.scores_, expected.scores_)


def test_lists_of_targets_of_equal_length_work_like_ragged_ones():
    X, _, y = targets_for_selection()
    X[:, 1:4], X[:, [0, 4]] = np.random.RandomState(1).normal(size=(12, 3, 3)), nan
    lists = of_present(X, y)
    assert {len(row) for row in lists} == {3}
    expected = select().fit(present_steps(X), np.concatenate(lists))
    stepwise = StepwiseTransformer(select()).fit(X, lists)
    assert_allclose(stepwise.transformer_.scores_, expected.scores_)


@pytest.mark.parametrize(
    "shorten",
    [lambda y, t: y[:-1], lambda y, t: t[:-1], lambda y, t: list(t[:-1])],
    ids=["of sequences", "of steps", "list"],
)
def test_another_number_of_targets_is_refused_as_scikit_learn_does(shorten):
    X, y, of_step = targets_for_selection()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        StepwiseTransformer(select()).fit(X, shorten(y, of_step))


def test_a_list_of_targets_that_does_not_fit_names_the_sample():
    X, _, y = targets_for_selection()
    lists = of_present(X, y)
    lists[3] = lists[3][:-1]
    with pytest.raises(ValueError, match="sample 3 "):
        StepwiseTransformer(select()).fit(X, lists)
