"""Labels that look like a mark for "no target" give a warning, others none."""

import warnings

import numpy as np
import pytest
from helpers import small_classifier, small_regressor
from reading_helpers import LABELS, numbers

from sknt.data import DataWarning

marked = pytest.warns(DataWarning, match="missing_target")
X = numbers(4, 2)


def of_steps(*labels):
    return np.resize(labels, (12, 4))


def of_sequences(*labels):
    return np.resize(labels, 12)


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist, np.ndarray.astype])
@pytest.mark.parametrize("mark", [-100, -999])
def test_a_single_label_far_below_the_others(kind, mark):
    for y, per_step in ((of_steps(0, 1, mark), True), (of_sequences(0, 1, mark), False)):
        y = kind(y, float) if kind is np.ndarray.astype else kind(y)
        with marked:
            small_classifier(return_sequences=per_step).fit(X, y)


def test_minus_one_beside_the_numbers_of_several_classes_of_steps():
    with marked:
        small_classifier(return_sequences=True).fit(X, of_steps(0, 1, 2, -1, -1))


def test_the_text_that_numpy_makes_of_nan():
    with marked:
        small_classifier().fit(X, np.array(["up", "down", np.nan] * 4))


def test_a_score_warns_as_well():
    model = small_classifier().fit(X, of_sequences(0, 1))
    with marked:
        model.score(X, of_sequences(0, 1, -100))


def test_partial_fit_warns_unless_the_label_was_announced():
    y = of_sequences(0, 1, -100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_classifier().partial_fit(X, y, classes=[-100, 0, 1])
    with marked:
        small_classifier().fit(iter([(X, y)]))


@pytest.mark.parametrize("change", [np.abs, np.negative])
@pytest.mark.parametrize("mark", [-100, -999, -9999.0])
def test_a_customary_mark_among_the_values_of_a_regressor(mark, change):
    y = np.where(np.arange(48).reshape(12, 4) % 3, change(X[..., 0]), mark)
    with marked:
        model = small_regressor(return_sequences=True).fit(X, y)
    with marked:
        model.score(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_regressor(return_sequences=True, missing_target=mark).fit(X, y)
        small_regressor(return_sequences=True, missing_target=None).fit(X, y)


@pytest.mark.parametrize(
    "y",
    [
        -100.0 + np.arange(12),
        [-100.0, *range(11)],
        np.full(12, -100.0),
        [0, -100.5] * 6,
        [-100.0, -50.0] * 6,
        [-100.0, -100.0, *range(-99, -89)],
    ],
)
def test_ordinary_values_give_no_warning(y):
    small_regressor().fit(X, y)


def test_indicators_name_missing_target():
    y = np.stack([of_steps(0, 1, -100), of_steps(1, 0, 0)], axis=-1)
    with pytest.raises(ValueError, match="-100.*missing_target"):
        small_classifier(return_sequences=True).fit(X, y)


ORDINARY = {
    "minus one and one": (-1, 1),
    "down, level, up": (-1, 0, 1),
    "minus one and zero": (-1, 0),
    "ratings": (-2, -1, 0, 1, 2),
    "numbers": (0, 1, 2),
    "far from zero on both sides": (-100, 100),
    "temperatures": (-200, -100, 0),
    "words": ("none", "up"),
}


@pytest.mark.parametrize("labels", ORDINARY.values(), ids=list(ORDINARY))
@pytest.mark.parametrize("per_step", [False, True])
def test_ordinary_labels_give_no_warning(labels, per_step):
    y = of_steps(*labels) if per_step else of_sequences(*labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = small_classifier(return_sequences=per_step).fit(X, y)
        model.score(X, y)


def test_minus_one_for_sequences_is_a_class():
    small_classifier().fit(X, of_sequences(-1, 0, 1, 2))  # a cluster's outliers, say


@pytest.mark.parametrize("marker", [-100, None])
def test_there_is_no_warning_if_missing_target_is_given(marker):
    y = of_steps(0, 1, -100)
    model = small_classifier(return_sequences=True, missing_target=marker).fit(X, y)
    assert model.classes_.tolist() == ([0, 1] if marker else [-100, 0, 1])


def test_labels_that_are_ignored_give_no_warning():
    X = numbers(4, 2)
    X[:, 3] = np.nan
    y = of_steps(0, 1)
    y[:, 3] = -100  # at absent steps
    assert small_classifier(return_sequences=True).fit(X, y).classes_.tolist() == [0, 1]
    assert LABELS.min() == 0
