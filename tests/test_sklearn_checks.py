"""scikit-learn's own checks, on the estimators' defaults except for fewer epochs."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknt import NTMSequenceClassifier, NTMSequenceRegressor

pytestmark = pytest.mark.slow


@parametrize_with_checks(
    [NTMSequenceClassifier(max_epochs=5), NTMSequenceRegressor(max_epochs=30)]
)
def test_scikit_learn_compatible(estimator, check):
    check(estimator)


@pytest.mark.parametrize("Estimator", [NTMSequenceClassifier, NTMSequenceRegressor])
def test_the_baseline_passes_the_weight_and_batch_checks_too(Estimator):
    from sklearn.utils.estimator_checks import (
        check_methods_subset_invariance,
        check_sample_weight_equivalence_on_dense_data,
    )

    estimator = Estimator(memory=None, max_epochs=5)
    name = type(estimator).__name__
    check_sample_weight_equivalence_on_dense_data(name, estimator)
    check_methods_subset_invariance(name, estimator)
