"""scikit-learn's own checks with a D-NTM that chooses single rows.

Soft ones are checked along with the other memories.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknt import NTMSequenceClassifier, NTMSequenceRegressor

pytestmark = pytest.mark.slow

SMALL = {
    "memory": "dntm",
    "memory_params": {"addressing": "hard"},
    "memory_size": 6,
    "word_size": 4,
    "hidden_size": 16,
}


@parametrize_with_checks(
    [
        NTMSequenceClassifier(max_epochs=5, **SMALL),
        # REINFORCE's gradient is unbiased but noisy: it takes more and larger steps.
        NTMSequenceRegressor(max_epochs=60, batch_size=32, learning_rate=0.05, **SMALL),
    ]
)
def test_scikit_learn_compatible(estimator, check):
    check(estimator)
