"""The copy task, learned through the public estimator with its defaults."""

from functools import partial

import numpy as np
import pytest

from sknt import NTMSequenceClassifier
from sknt.datasets import make_copy
from sknt.metrics import bit_error_rate, bits_per_sequence


@pytest.mark.slow
def test_copy_is_learned_from_a_stream_and_kept_beyond_the_training_length():
    model = NTMSequenceClassifier(return_sequences=True, max_epochs=60, random_state=0)
    model.fit(partial(make_copy, 100))
    X, y = make_copy(200, random_state=1)
    assert bits_per_sequence(y, model.predict_proba(X)) < 0.1
    X, y = make_copy(20, min_length=60, max_length=60, random_state=2)
    assert bit_error_rate(y, model.predict(X)) < 0.01
    assert model.history_[-1]["n_sequences"] <= 6000
    phases = [epoch["phase"] for epoch in model.history_]
    assert phases[0] == "learning"
    assert "consolidating" in phases


@pytest.mark.slow
def test_copy_is_learned_within_a_few_thousand_sequences():
    X, y = make_copy(n_samples=2500, max_length=6, random_state=0)
    model = NTMSequenceClassifier(
        batch_size=4, max_epochs=1, return_sequences=True, random_state=0
    ).fit(X, y)
    X_new, y_new = make_copy(n_samples=200, max_length=6, random_state=1)
    has_target = ~np.isnan(y_new)
    wrong = (model.predict(X_new) != y_new)[has_target].mean()
    assert wrong < 0.01
