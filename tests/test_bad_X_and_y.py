"""Invalid X and y: an error names the place, and nothing changes."""

import numpy as np
import pytest
from helpers import SMALL
from numpy.testing import assert_array_equal

from sknt import NTMSequenceClassifier, NTMSequenceRegressor


def changed(array, index, value):
    array = np.array(array, copy=True)
    array[index] = value
    return array


BAD_X = {
    "a step that is partly NaN": (
        lambda X: changed(X, (3, 1, 0), np.nan),
        r"sample 3, step 1, feature\(s\) \[0\].*SimpleImputer",
    ),
    "infinity": (
        lambda X: changed(X, (4, 0, 1), -np.inf),
        "infinity.*sample 4, step 0, feature 1",
    ),
    "too large for float32": (lambda X: changed(X, (4, 0, 1), 1e39), "sample 4, step 0"),
    "a sequence without any step": (
        lambda X: changed(X, 5, np.nan),
        "sample 5 of X has no step.*Leave",
    ),
    "no sample": (lambda X: X[:0], r"0 sample\(s\)"),
    "no feature": (lambda X: X[..., :0], r"0 feature\(s\)"),
    "ragged feature counts in a list": (
        lambda X: [*list(X[:-1]), X[-1, :, :1]],
        "sample 59 has steps of shape.*same number of features",
    ),
    "text": (lambda X: X.astype(str), "not numeric"),
    "one dimension": (lambda X: X[:, 0, 0], "[Rr]eshape your data"),
    "four dimensions": (lambda X: X[..., np.newaxis], "n_timesteps, n_features"),
}


@pytest.mark.parametrize("Estimator", [NTMSequenceClassifier, NTMSequenceRegressor])
@pytest.mark.parametrize(("spoil", "message"), BAD_X.values(), ids=list(BAD_X))
def test_bad_X(sequences, Estimator, spoil, message):
    X, y = sequences
    y = (y == "up").astype(int)
    model = Estimator(**SMALL).fit(X, y)
    before, state = model.predict(X), dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.predict(spoil(X))
    with pytest.raises(ValueError, match=message):
        model.fit(spoil(X), y)
    assert vars(model) == state
    assert_array_equal(model.predict(X), before)


def test_a_different_number_of_features_than_in_fit(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="X has 1 features, but .* expecting 2 features"):
        model.predict(X[..., :1])
    with pytest.raises(ValueError, match="X has 1 features.*two dimensions are univariate"):
        model.predict(X[..., 0])
    X = np.nan_to_num(X)  # padded sequences may have any width
    table = NTMSequenceClassifier(**SMALL).fit(X[..., 0], y)
    with pytest.raises(ValueError, match="X has 5 features, but .* expecting 6 features"):
        table.predict(X[:, :5, 0])


BAD_Y = {
    "another length": ({}, lambda X, y: y[:-1], "inconsistent numbers of samples"),
    "none": ({}, lambda X, y: None, "requires y to be passed"),
    "a target for each step": (
        {},
        lambda X, y: np.zeros((60, 6, 1)),
        "For a target for each step, use return_sequences=True",
    ),
    "many classes for each step": (
        {},
        lambda X, y: np.arange(360).reshape(60, 6) % 3,
        "return_sequences=True",
    ),
    "a target for each sequence": (
        {"return_sequences": True},
        lambda X, y: y,
        "For a target for each sequence, use return_sequences=False",
    ),
    "too few steps": (
        {"return_sequences": True},
        lambda X, y: np.zeros((60, 5)),
        "y has 5 steps, but X has 6",
    ),
    "a list with a sample too short": (
        {"return_sequences": True},
        lambda X, y: [[0, 1] * 3] * 7 + [[1]] + [[0, 1] * 3] * 52,
        "sample 7 of y has 1 targets",
    ),
    "a target everywhere missing": (
        {"return_sequences": True},
        lambda X, y: np.full((60, 6), np.nan),
        "every entry is missing_target=nan",
    ),
    "targets at absent steps alone": (
        {"return_sequences": True},
        lambda X, y: np.where(np.isnan(X[..., 0]), 1.0, np.nan),
        "every entry is missing_target=nan .or lies at an absent step",
    ),
    "NaN that does not mean missing": (
        {"missing_target": -1},
        lambda X, y: changed(np.arange(60) % 2.0, 3, np.nan),
        r"infinity at index \[3\], which is not missing_target=-1",
    ),
    "one class only": ({}, lambda X, y: np.zeros(60), "one class only"),
    "values, not classes": ({}, lambda X, y: X[:, 0, 0], "Unknown label type"),
}


@pytest.mark.parametrize(("params", "spoil", "message"), BAD_Y.values(), ids=list(BAD_Y))
def test_bad_y(sequences, params, spoil, message):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL, **params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, spoil(X, y))
    assert set(vars(model)) == set(model.get_params(deep=False))


def test_bad_y_of_a_regressor(sequences):
    X, y = sequences
    model = NTMSequenceRegressor(**SMALL)
    with pytest.raises(ValueError, match="y is not numeric.*NTMSequenceClassifier"):
        model.fit(X, y)
    with pytest.raises(ValueError, match=r"infinity at index \[2\]"):
        model.fit(X, changed(X[:, 0, 0], 2, np.inf))
    values = X[:, 0].copy()
    values[:, 1] = np.nan
    with pytest.raises(ValueError, match="output 1 of y has no target"):
        model.fit(X, values)


def test_too_few_samples_to_hold_any_out(sequences):
    X, _ = sequences
    model = NTMSequenceRegressor(**SMALL, early_stopping=True)
    with pytest.raises(ValueError, match="none be left to train on.*early_stopping=False"):
        model.fit(X[:2], [0.0, 1.0])


@pytest.mark.parametrize(
    ("params", "y", "message"),
    [
        ({}, [1, "a"] * 30, "mixes text"),
        ({"missing_target": None}, [np.nan, "a", "b"] * 20, r"NaN, None.*index \[0\]"),
        ({"missing_target": ""}, [None, "a", "b"] * 20, r"NaN, None.*index \[0\]"),
        ({"missing_target": -1}, [np.nan, 0, 1] * 20, r"NaN.*index \[0\]"),
    ],
)
def test_labels_of_objects(sequences, params, y, message):
    X, _ = sequences
    with pytest.raises(ValueError, match=message):
        NTMSequenceClassifier(**SMALL, **params).fit(X, np.array(y, dtype=object))


def test_values_of_objects(sequences):
    X, _ = sequences
    for bad in (np.inf, "text"):
        y = np.array([bad, *range(59)], dtype=object)
        with pytest.raises(ValueError, match="index .0.|not numeric"):
            NTMSequenceRegressor(**SMALL).fit(X, y)
    y = np.array([None, *range(59)], dtype=object)
    with pytest.raises(ValueError, match=r"index \[0\]"):
        NTMSequenceRegressor(**SMALL, missing_target=-1).fit(X, y)


def test_targets_of_a_different_kind(sequences):
    from scipy.sparse import csr_array

    X, y = sequences
    with pytest.raises(TypeError, match=r"sparse.*toarray"):
        NTMSequenceClassifier(**SMALL).fit(X, csr_array((y == "up")[:, np.newaxis]))
    with pytest.raises(ValueError, match="Complex"):
        NTMSequenceRegressor(**SMALL).fit(X, np.ones(60) * 1j)
    model = NTMSequenceClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="labels of the same kind as in fit"):
        model.score(X, (y == "up").astype(int))


def test_an_indicator_output_without_any_target(sequences):
    X, _ = sequences
    y = np.stack([X[..., 0] > 0, np.full((60, 6), np.nan)], axis=-1)
    model = NTMSequenceClassifier(**SMALL, return_sequences=True)
    with pytest.raises(ValueError, match="output 1 of y has no target"):
        model.fit(X, y)
