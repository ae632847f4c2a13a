"""Invalid weights of samples and classes."""

import numpy as np
import pytest
from helpers import SMALL

from sknt import NTMSequenceClassifier


def test_sample_weight(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL)
    with pytest.raises(ValueError, match="at least one non-zero"):
        model.fit(X, y, sample_weight=np.zeros(60))
    y_partly = np.where(np.arange(60) < 30, np.nan, y == "up")
    with pytest.raises(ValueError, match="sample_weight is 0 for every sample that has"):
        model.fit(X, y_partly, sample_weight=np.arange(60) < 30)
    with pytest.raises(ValueError, match="[Nn]egative"):
        model.fit(X, y, sample_weight=-np.ones(60))
    with pytest.raises(ValueError, match="shape"):
        model.fit(X, y, sample_weight=np.ones(3))


def test_class_weight(sequences):
    X, y = sequences
    with pytest.raises(ValueError, match="class_weight has no meaning for 0/1 indicator"):
        NTMSequenceClassifier(**SMALL, class_weight="balanced").fit(
            X, np.column_stack([y == "up", y == "down"]).astype(int)
        )


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"up": -2.0}, "class_weight=.*at least 0"),
        ({"up": np.nan}, "class_weight=.*finite"),
        ({"up": 0.0, "down": 0.0}, "class_weight=.*not all of them 0"),
    ],
)
def test_bad_class_weights(sequences, class_weight, message):
    model = NTMSequenceClassifier(**SMALL, class_weight=class_weight)
    with pytest.raises(ValueError, match=message):
        model.fit(*sequences)


def test_balanced_weights_need_every_class(sequences):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL, class_weight="balanced")
    with pytest.raises(ValueError, match="'balanced' needs a target of positive weight"):
        model.fit(X, y, sample_weight=(y == "up").astype(float))


@pytest.mark.parametrize("weights", [np.zeros(60), -np.ones(60), np.full(60, np.nan)])
def test_weights_are_checked_in_score_as_in_fit(sequences, weights):
    X, y = sequences
    model = NTMSequenceClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="(?i)weight"):
        model.score(X, y, sample_weight=weights)
