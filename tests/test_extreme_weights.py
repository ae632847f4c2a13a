"""Sample weights that are not finite are refused; huge and tiny ones count relatively."""

import numpy as np
import pytest
from helpers import small_classifier, small_regressor, weights_of
from reading_helpers import LABELS, every_estimator, numbers

nan = np.nan
X = numbers(4, 2)


@every_estimator
@pytest.mark.parametrize("weight", [nan, np.inf, np.float32(nan), np.full(12, nan)])
def test_weights_that_are_not_finite(make, weight):
    with pytest.raises(ValueError, match="sample_weight contains (NaN|inf)"):
        make().fit(X, LABELS, sample_weight=weight)
    model = make().fit(X, LABELS)
    with pytest.raises(ValueError, match="sample_weight contains (NaN|inf)"):
        model.score(X, LABELS, sample_weight=weight)
    with pytest.raises(ValueError, match="sample_weight contains (NaN|inf)"):
        model.partial_fit(X, LABELS, sample_weight=weight)


@every_estimator
@pytest.mark.parametrize("unit", [2.0**1022, 2.0**-1000])
def test_only_the_proportions_of_weights_count(make, unit):
    weights = np.linspace(0.25, 1.75, 12)
    model = make().fit(X, LABELS, weights)
    extreme = make().fit(X, LABELS, weights * unit)
    assert np.isfinite(extreme.history_[0]["train_loss"])
    np.testing.assert_allclose(weights_of(extreme), weights_of(model), rtol=1e-4, atol=1e-6)
    score = model.score(X, LABELS, weights)
    assert np.isclose(model.score(X, LABELS, weights * unit), score)


@every_estimator
def test_weights_of_steps_need_targets_of_steps(make):
    model = make()
    message = r"sample_weight has shape \(12, 4\).*a target for each.*return_sequences=True"
    with pytest.raises(ValueError, match=message):
        model.fit(X, LABELS, np.ones((12, 4)))
    model.fit(X, LABELS)
    with pytest.raises(ValueError, match=message):
        model.score(X, LABELS, np.ones((12, 4)))


def test_values_beyond_double_precision_are_refused():
    if np.finfo(np.longdouble).max == np.finfo(np.float64).max:
        pytest.skip("long doubles are doubles here")
    y = np.array([np.longdouble(10) ** 400, *range(11)])
    with pytest.raises(ValueError, match=r"y .*too large.*index \[0\]"):
        small_regressor().fit(X, y)
    model = small_regressor().fit(X, LABELS)
    with pytest.raises(ValueError, match=r"y .*too large.*index \[0\]"):
        model.score(X, y)


@pytest.mark.parametrize("as_labels", [list, np.array, lambda y: np.array(y, object)])
def test_labels_of_another_kind_are_refused_in_a_score(as_labels):
    model = small_classifier().fit(X, LABELS)
    with pytest.raises(ValueError, match="labels of the same kind as in fit"):
        model.score(X, as_labels(["0", "1"] * 6))
    model = small_classifier().fit(X, ["a", "b"] * 6)
    with pytest.raises(ValueError, match="labels of the same kind as in fit"):
        model.score(X, as_labels([0, 1] * 6))


def test_mixed_labels_are_refused_in_a_score():
    model = small_classifier().fit(X, LABELS)
    with pytest.raises(ValueError, match="mixes text"):
        model.score(X, ["0", 1] * 6)


def test_missing_text_labels_may_be_scored():
    model = small_classifier().fit(X, ["a", "b"] * 6)
    some = ["a", "b", nan] * 4
    kept = [0, 1, 3, 4, 6, 7, 9, 10]
    expected = model.score(X[kept], [some[i] for i in kept])
    assert model.score(X, some) == model.score(X, np.array(some, object)) == expected
