"""What partial_fit and a warm start cannot continue."""

import numpy as np
import pytest
from helpers import SMALL
from numpy.testing import assert_array_equal

from sknt import NTMSequenceClassifier, NTMSequenceRegressor


def test_partial_fit(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="one class only"):
        model.partial_fit(X[y == "up"], y[y == "up"], classes=["up"])
    model.partial_fit(X, y, classes=["up", "down"])
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=r"\['left'\].*not among"):
        model.partial_fit(X, np.where(y == "up", "left", "down"))
    assert_array_equal(model.predict_proba(X), before)
    model.early_stopping = True
    with pytest.raises(ValueError, match="early_stopping"):
        model.partial_fit(X, y)


def test_a_first_partial_fit_must_show_the_scale_of_the_targets(sequences):
    X, _ = sequences
    with pytest.raises(ValueError, match="begin with a batch of several different"):
        NTMSequenceRegressor(**SMALL).partial_fit(X[:1], [1000.0])


@pytest.mark.parametrize("classes", [2, [None, "up", "down"], [["up"], ["down"]]])
def test_classes_that_are_not_labels(sequences, classes):
    X, y = sequences
    with pytest.raises(ValueError, match="classes=|mixes text"):
        NTMSequenceClassifier(**SMALL).partial_fit(X, y, classes=classes)


def test_classes_cannot_change_between_partial_fits(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL).partial_fit(X, y, classes=["down", "up"])
    model.partial_fit(X, y, classes=["up", "down"])
    with pytest.raises(ValueError, match="the classes of the first call"):
        model.partial_fit(X, y, classes=["down", "up", "left"])


@pytest.mark.parametrize(
    "changed",
    [
        {"optimizer": "sgd"},
        {"hidden_size": 3, "memory_size": 9},
        {"memory_params": {"shift_range": 0}},
        {"net_params": {"optimizer__eps": 1}},
    ],
)
def test_a_warm_start_cannot_change_fixed_parameters(sequences, changed):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL, warm_start=True).fit(X, y)
    model.set_params(**changed)
    with pytest.raises(
        ValueError, match=f"{next(iter(changed))} changed since the last fit"
    ):
        model.fit(X, y)
    model.set_params(warm_start=False).fit(X, y)


def test_changed_targets_or_layout_in_a_warm_start(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="start anew"):
        model.fit(X, np.where(y == "up", "left", "right"))
    with pytest.raises(ValueError, match="return_sequences changed"):
        model.set_params(return_sequences=True).fit(X, np.zeros((60, 6)))
