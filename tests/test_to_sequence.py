"""ToSequence: rows of a table become sequences."""

import numpy as np
import pytest
from gap_helpers import sequences_with_gaps
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknt import NTMSequenceClassifier
from sknt.preprocessing import ToSequence


@parametrize_with_checks([ToSequence(), ToSequence(n_features=1)])
def test_scikit_learn_compatible(estimator, check):
    check(estimator)


@pytest.mark.parametrize("n_features", [1, 2, 3, 6])
def test_rows_hold_the_first_steps_features_then_the_seconds(n_features):
    table = np.random.RandomState(0).normal(size=(4, 6))
    result = ToSequence(n_features=n_features).fit_transform(table)
    assert result.shape == (4, 6 // n_features, n_features)
    for row, sequence in zip(table, result, strict=True):
        assert_array_equal(np.concatenate(list(sequence)), row)


def test_rows_of_sequences_and_back_are_the_same_with_absent_steps_too():
    X = sequences_with_gaps()
    table = X.reshape(len(X), -1)
    to_sequence = ToSequence(n_features=3).fit(table)
    assert to_sequence.n_features_in_ == 15
    assert_array_equal(to_sequence.transform(table), X)
    assert_array_equal(to_sequence.inverse_transform(X), table)


def test_a_data_frame_becomes_sequences_by_the_order_of_its_columns():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"b": [1, 5], "a": [2, 6], "d": [3, 7], "c": [4, 8]})
    result = ToSequence(n_features=2).fit_transform(frame)
    assert_array_equal(result, [[[1, 2], [3, 4]], [[5, 6], [7, 8]]])


def test_columns_that_do_not_make_whole_steps_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"5 columns.*n_features=2"):
        ToSequence(n_features=2).fit(np.ones((3, 5)))


def test_another_number_of_columns_than_in_fit_is_refused():
    to_sequence = ToSequence(n_features=2).fit(np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"6 features.*expecting 4"):
        to_sequence.transform(np.ones((3, 6)))


@pytest.mark.parametrize("n_features", [0, -1, 1.5, "2", None])
def test_a_step_has_a_whole_positive_number_of_features(n_features):
    with pytest.raises(ValueError, match="'n_features' parameter"):
        ToSequence(n_features=n_features).fit(np.ones((3, 4)))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((2, 3, 1)), "dim 3"),
        (np.array([[1.0, np.inf]]), "infinity"),
        ([["a", "b"]], "could not convert"),
    ],
)
def test_anything_but_a_table_of_numbers_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        ToSequence().fit(X)


def test_a_pipeline_from_a_table_equals_one_from_the_sequences():
    X, y = sequences_with_gaps(), np.array([0, 1, 0, 1, 0, 1])
    model = NTMSequenceClassifier(
        memory_size=4, word_size=3, hidden_size=6, max_epochs=1, random_state=0
    )
    table = X.reshape(len(X), -1)
    pipeline = make_pipeline(ToSequence(n_features=3), model).fit(table, y)
    assert_array_equal(
        pipeline.predict_proba(table), clone(model).fit(X, y).predict_proba(X)
    )


def test_columns_that_do_not_make_whole_steps_are_refused_in_transform_too():
    table = np.ones((3, 6))
    to_sequence = ToSequence(2).fit(table).set_params(n_features=5)
    with pytest.raises(ValueError, match="not a multiple of n_features=5"):
        to_sequence.transform(table)
