"""Ordinary data sets give no warning about how they look; warnings are errors here."""

import numpy as np
import pytest
from helpers import small_classifier, small_regressor
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine

from sknt import datasets
from sknt.preprocessing import StepwiseTransformer

QUICK = {"max_epochs": 1, "n_convolutions": 0}
TASKS = {
    "copy": datasets.make_copy,
    "repeat copy": datasets.make_repeat_copy,
    "associative recall": datasets.make_associative_recall,
    "n-grams": datasets.make_dynamic_ngrams,
    "priority sort": datasets.make_priority_sort,
}


@pytest.mark.parametrize("make", TASKS.values(), ids=list(TASKS))
def test_the_tasks(make):
    X, y = make(n_samples=20, random_state=0)
    StepwiseTransformer().fit(X)
    small_classifier(**QUICK, return_sequences=True).fit(X, y).score(X, y)


@pytest.mark.slow
def test_look_ups_in_source_code():
    X, y, _ = datasets.load_source_variables()
    model = small_classifier(**QUICK, return_sequences=True)
    model.fit(X[:20], y[:20]).score(X[:20], y[:20])


@pytest.mark.parametrize("standardize", [False, "auto"])
@pytest.mark.parametrize("load", [load_iris, load_wine, load_digits])
def test_tables_and_pictures(load, standardize):
    X, y = load(return_X_y=True)
    X, y = X[::5], y[::5]
    model = small_classifier(**QUICK, standardize=standardize)
    model.fit(X, y)
    model.fit(X[:, :, np.newaxis], y)
    if load is load_digits:
        model.fit(X.reshape(-1, 8, 8), y)


@pytest.mark.parametrize("standardize", [False, "auto"])
def test_values(standardize):
    X, y = load_diabetes(return_X_y=True)
    small_regressor(**QUICK, standardize=standardize).fit(X[::5], y[::5])


SERIES = ["basic_motions", "italy_power_demand", "arrow_head", "gunpoint", "osuleaf"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SERIES, "acsf1", "japanese_vowels", "plaid"])
def test_series(name):
    loaders = pytest.importorskip("sktime.datasets")
    nested, _ = getattr(loaders, f"load_{name}")(return_X_y=True, return_type="nested_univ")
    sequences = [np.column_stack([np.asarray(c) for c in row]) for row in nested.to_numpy()]
    StepwiseTransformer().fit(sequences)
    short = [steps[-200:] for steps in sequences[:: len(sequences) // 40]]
    y = np.arange(len(short)) % 2
    small_classifier(**QUICK, standardize=False).fit(short, y)
