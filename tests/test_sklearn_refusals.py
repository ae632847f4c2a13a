"""What scikit-learn refuses, as the documentation says."""

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression, RANSACRegressor
from sklearn.multiclass import OneVsOneClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

REFUSED = {
    "StandardScaler": (lambda model: StandardScaler(), "dim 3"),
    "Bagging": (lambda model: BaggingClassifier(model), "dim 3"),
    "SelfTraining": (lambda model: SelfTrainingClassifier(model), "dim 3"),
    "OneVsOne": (lambda model: OneVsOneClassifier(model), "dim 3"),
    "Stacking with passthrough": (
        lambda model: StackingClassifier(
            [("ntm", model)], LogisticRegression(), cv=2, passthrough=True
        ),
        "same number of dimensions",
    ),
    "AdaBoost": (lambda model: AdaBoostClassifier(model), "contains NaN"),
    "RANSAC": (lambda model: RANSACRegressor(model, min_samples=0.5), "dim 3"),
}


@pytest.mark.parametrize(("refused", "message"), REFUSED.values(), ids=list(REFUSED))
def test_refused_by_scikit_learn_on_absent_steps(sequences, model, refused, message):
    X, y = sequences
    with pytest.raises(ValueError, match=message):
        refused(model).fit(X, (y == "up").astype(int))


def test_chains_are_refused_and_multiple_outputs_are_the_alternative(sequences, model):
    X, y = sequences
    outputs = np.column_stack([y == "up", y == "down"]).astype(int)
    with pytest.raises(ValueError, match="dim 3"):
        ClassifierChain(model).fit(X, outputs)
    assert model.fit(X, outputs).predict(X).shape == outputs.shape
