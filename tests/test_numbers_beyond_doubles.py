"""Numbers in X, y and weights that double precision cannot hold."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknt import NTMSequenceClassifier, NTMSequenceRegressor, pad_sequences
from sknt.data.sequences import Layout
from sknt.metrics import make_sequence_scorer

SMALL = {
    "memory_size": 8,
    "hidden_size": 8,
    "max_epochs": 1,
    "random_state": 0,
    "backend": "reference",
}
has_long_doubles = pytest.mark.skipif(
    np.finfo(np.longdouble).max == np.finfo(np.float64).max,
    reason="here, long doubles are doubles",
)


def sequences():
    rng = np.random.RandomState(0)
    return [rng.normal(size=(3, 1)) for _ in range(6)]


def with_one_too_large():
    values = np.random.RandomState(1).normal(size=(6, 3)).astype(np.longdouble)
    values[4, 1] = np.longdouble("1e400")
    return values


def as_list(values):
    return list(values)


@has_long_doubles
@pytest.mark.parametrize("lay_out", [np.asarray, as_list])
def test_too_large_a_target_of_a_step_is_called_that(lay_out):
    model = NTMSequenceRegressor(**SMALL, return_sequences=True)
    with pytest.raises(ValueError, match=r"too large for double precision at .*\[4, 1\]"):
        model.fit(sequences(), lay_out(with_one_too_large()))


@has_long_doubles
@pytest.mark.parametrize("lay_out", [np.asarray, as_list])
def test_too_large_a_value_of_X_is_refused_with_its_place(lay_out):
    X = lay_out(with_one_too_large()[..., np.newaxis])
    with pytest.raises(ValueError, match="sample 4, step 1, feature 0"):
        NTMSequenceRegressor(**SMALL).fit(X, np.arange(6.0))


@has_long_doubles
def test_too_large_a_weight_is_refused():
    X, weights = sequences(), np.abs(with_one_too_large())
    y = np.random.RandomState(2).normal(size=(6, 3))
    of_steps = NTMSequenceRegressor(**SMALL, return_sequences=True)
    with pytest.raises(ValueError, match="inf at sample 4, step 1"):
        of_steps.fit(X, y, sample_weight=weights)
    with pytest.raises(ValueError, match="infinity"):
        NTMSequenceRegressor(**SMALL).fit(X, y[:, 0], sample_weight=weights[:, 1])


def test_predicted_labels_stay_exact_where_steps_are_absent():
    X = pad_sequences([x[: 1 + i % 3] for i, x in enumerate(sequences())])
    labels = [2**60 + 1, 2**60 + 5, 2**60 + 1]
    y = [labels[: 1 + i % 3] for i in range(6)]
    model = NTMSequenceClassifier(**SMALL, return_sequences=True).fit(X, y)
    predicted = model.predict(X)
    present = ~np.isnan(X[..., 0])
    assert np.isin(predicted[present].tolist(), model.classes_).all()
    assert all(value != value for value in predicted[~present])
    # Rounded, they would equal neither class.
    scorer = make_sequence_scorer("accuracy")
    assert scorer(model, X, y) == pytest.approx(model.score(X, y), abs=1e-12)


@pytest.mark.parametrize("largest", [2**53, 2**53 + 1, 2**64 - 1])
def test_whole_numbers_are_laid_out_exactly(largest):
    layout = Layout.of(np.array([[True, False], [True, True]]))
    steps = np.array([0, 1, largest], np.uint64)
    laid_out = layout.unpack(steps)
    assert_array_equal([int(laid_out[0, 0]), *map(int, laid_out[1])], [0, 1, largest])
    assert laid_out.dtype == (float if largest == 2**53 else object)
