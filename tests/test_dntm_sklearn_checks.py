"""scikit-learn's own checks with a D-NTM, soft and hard."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknt import NTMSequenceClassifier, NTMSequenceRegressor

pytestmark = pytest.mark.slow

SIZES = {"memory": "dntm", "memory_size": 6, "word_size": 4, "hidden_size": 16}


@parametrize_with_checks(
    [
        Estimator(max_epochs=n_epochs, memory_params={"addressing": addressing}, **SIZES)
        for addressing in ("soft", "hard")
        for Estimator, n_epochs in ((NTMSequenceClassifier, 5), (NTMSequenceRegressor, 30))
    ]
)
def test_scikit_learn_compatible(estimator, check):
    check(estimator)
