"""scikit-learn's own checks, with every memory but the default one, on small networks."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.memories import MEMORIES

pytestmark = pytest.mark.slow

SMALL = {"memory_size": 8, "word_size": 4, "hidden_size": 16}
FAST = {"max_epochs": 30, "batch_size": 32, "learning_rate": 0.03}


@parametrize_with_checks(
    [
        Estimator(memory=memory, **params, **SMALL)
        for memory in MEMORIES
        if memory != "ntm"
        for Estimator, params in (
            (NTMSequenceClassifier, {"max_epochs": 5}),
            (NTMSequenceRegressor, FAST),
        )
    ]
)
def test_scikit_learn_compatible(estimator, check):
    check(estimator)
