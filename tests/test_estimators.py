"""The estimators learn, refuse to predict unfitted, and agree with their docstrings."""

import inspect
import re

import numpy as np
import pytest
from helpers import small_classifier, small_regressor
from sklearn.exceptions import NotFittedError

from sknt import NTMSequenceClassifier, NTMSequenceRegressor


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_learns_to_remember_the_first_step(sequences, controller):
    X, y = sequences
    model = small_classifier(controller=controller, hidden_size=20, max_epochs=30)
    assert model.fit(X, y).score(X, y) >= 0.95


def test_learns_a_value_and_predicts_it_in_its_units(sequences):
    X, _ = sequences
    y = 5000 + 100 * X[:, 0, 0]
    model = small_regressor(hidden_size=20, max_epochs=40).fit(X, y)
    assert model.score(X, y) > 0.9
    assert abs(model.predict(X).mean() - 5000) < 50


def test_unfitted_estimators_say_so(sequences):
    with pytest.raises(NotFittedError):
        small_classifier().predict(sequences[0])


@pytest.mark.parametrize("Estimator", [NTMSequenceClassifier, NTMSequenceRegressor])
def test_docstring_and_signature_agree(Estimator):
    documented = dict(
        re.findall(r"^    (\w+) : .*default=(\S+)$", Estimator.__doc__, re.MULTILINE)
    )
    signature = inspect.signature(Estimator).parameters
    assert list(documented) == list(signature)
    for name, parameter in signature.items():
        shown = documented[name].strip('"')
        default = parameter.default
        if isinstance(default, float) and not np.isnan(default):
            assert float(shown) == default, name
        else:
            assert shown == str(default), name


def test_both_estimators_have_the_same_parameters_and_defaults():
    classifier = NTMSequenceClassifier().get_params()
    regressor = NTMSequenceRegressor().get_params()
    assert set(classifier) - set(regressor) == {"class_weight"}
    del classifier["class_weight"], classifier["missing_target"]
    del regressor["missing_target"]  # NaN, which equals nothing
    assert classifier == regressor
