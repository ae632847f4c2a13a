"""Sample weights through scikit-learn's metadata routing."""

import numpy as np
import pytest
import sklearn
from helpers import MODEST
from numpy.testing import assert_array_equal
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    KFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from sknt import NTMSequenceClassifier
from sknt.metrics import make_sequence_scorer
from sknt.preprocessing import StepwiseTransformer


def test_sample_weight_is_routed(sequences):
    X, y = sequences
    weights = np.random.RandomState(0).randint(0, 3, size=60)
    with sklearn.config_context(enable_metadata_routing=True):
        model = NTMSequenceClassifier(**MODEST)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(StepwiseTransformer(), model)
        result = cross_validate(
            pipeline,
            X,
            y,
            cv=2,
            params={"sample_weight": weights},
            return_estimator=True,
            return_indices=True,
        )
    for fold in range(2):
        train = result["indices"]["train"][fold]
        test = result["indices"]["test"][fold]
        scaler = StepwiseTransformer().fit(X[train])
        by_hand = NTMSequenceClassifier(**MODEST).fit(
            scaler.transform(X[train]), y[train], sample_weight=weights[train]
        )
        predicted = result["estimator"][fold].predict(X[test])
        X_test = scaler.transform(X[test])
        assert_array_equal(predicted, by_hand.predict(X_test))
        assert result["test_score"][fold] == pytest.approx(
            accuracy_score(y[test], predicted, sample_weight=weights[test])
        )


def test_sample_weight_is_routed_to_a_scorer_of_steps(sequences):
    X, _ = sequences
    y = np.where(np.isnan(X[..., 0]), np.nan, X[..., 0] > 0)
    weights = np.random.RandomState(0).randint(1, 4, size=60)
    with sklearn.config_context(enable_metadata_routing=True):
        model = NTMSequenceClassifier(**MODEST, return_sequences=True)
        model.set_fit_request(sample_weight=False)
        scorer = make_sequence_scorer("accuracy").set_score_request(sample_weight=True)
        result = cross_validate(
            model,
            X,
            y,
            cv=KFold(2),
            scoring=scorer,
            params={"sample_weight": weights},
            return_estimator=True,
            return_indices=True,
        )
    test = result["indices"]["test"][0]
    expected = result["estimator"][0].score(X[test], y[test], weights[test])
    assert result["test_score"][0] == pytest.approx(expected)
